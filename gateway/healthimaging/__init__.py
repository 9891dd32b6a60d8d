"""The AWS HealthImaging API (medical-imaging, 2023-07-19) over a Store, as the AWS CLI and SDKs speak it.

One request, by file: `routes` finds the operation, `throttling` counts it, `wire` reads and checks its input against
the service `model`, `operations` names the function that carries it out, `wire` writes the output and `faults` whatever
was raised. An operation is `async (Context, input) -> output` (`context`); both are dicts of the model's members.

    datastores       data stores; tags: of these and of image sets
    image_sets       image sets and their versions
    frames           GetImageFrame
    search           SearchImageSets; pages: of this and every list
    copying          CopyImageSet
    import_jobs      import jobs: start, get, list
    import_runner    ... which of them runs
    import_run       ... one of them, from import_input over import_metadata and import_checks to import_report
    event_feed       what the service sends to EventBridge, as a feed
"""

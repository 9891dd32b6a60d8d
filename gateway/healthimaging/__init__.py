"""The AWS HealthImaging API (medical-imaging, 2023-07-19) over a Store, as the AWS CLI and SDKs speak it.

One request, by file: `routes` finds the operation, `wire` reads and checks its input against the service `model`,
`operations` names the function that carries it out (in `datastores`, `image_sets`, `search`), `wire` writes the output
and `faults` whatever was raised. An operation is `async (Context, input) -> output`; both are dicts of the model's
members.
"""

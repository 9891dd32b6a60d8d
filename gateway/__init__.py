"""A DICOMweb gateway for versioned image sets. This page is the table of contents: the road of one edit.

    step      file                                         what happens there
    receive   dicomweb/edits/edit.py                       a request becomes a target, options, If-Match, a body
    parse     dicom/json_model.py                          the body, datasets or merge patches
    locate    dicomweb/edits/edited.py                     the target, image sets and their version N
    map       dicomweb/edits/plans.py, metadata/mapping.py patches, an update document for each image set
    check     metadata/constraints.py                      version N and the update, violations, or none
    apply     metadata/apply.py                            version N and the update, version N+1
    compare   metadata/diff.py                             N and N+1, the changes; without any there is no version
    append    store/editing.py, store/sqlite/log.py        the versions of one study, all of them or none
    answer    dicomweb/edits/answers.py                    the result, an HTTP answer; dicomweb/problems.py, the errors

The HealthImaging API, healthimaging/, enters the same road at `check`: what it receives is an update document already.
docs/one-edit.md walks it with a real request; docs/architecture.md draws the house. What stands beside the road:

    dicom/          the DICOM standard: dictionary, levels, values, JSON, PS3.10, multipart, matching
    metadata/       HealthImaging's metadata: documents, mapping, constraints, applying, comparing
    store/          versions of image sets, and the bytes they came as
    dicomweb/       the first face, PS3.18 and what editing adds to it (docs/editing.md)
    healthimaging/  the second face, the AWS API
    app.py          puts store and faces together; settings.py, state.py, request_body.py, request_log.py serve it
    cli.py          the commands, commands/; demo.py is the one to start with
    errors.py       everything that can go wrong
"""

__version__ = "0.1.0"

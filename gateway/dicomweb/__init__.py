"""What PS3.18 says over HTTP: the DICOMweb face.

    routes          every path in one table
    targets         which data store and which resource a request is about
    locate          which image sets that is, and in which versions
    negotiation     media types: what a client accepts, what a body is
    preconditions   ETags, If-Match
    problems        what went wrong, as RFC 9457 says it
    responses       DICOM JSON, multipart, 304, Warning: how an answer is written

    stow            POST /studies: storing, and DICOM JSON on its way to edit
    store_response  the Store Instances Response
    qido            GET /studies?…: searching
    wado            GET /studies/{study}…: retrieving
    edit            PATCH, PUT, DELETE: edits, each with plans, carry_out, edit_answers
    stow_edit       edits posted as STOW-RS
    history         versions, diff, revert
    patients        /patients/{patientID}
    changefeed      /changefeed
    jobs            edits over several studies

It speaks to the Store protocol and never to the other face.
"""

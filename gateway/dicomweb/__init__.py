"""What PS3.18 says over HTTP: the DICOMweb face.

    routes          every path in one table
    targets         which data store and which resource a request is about
    locate          which image sets that is, and in which versions
    negotiation     media types: what a client accepts, what a body is
    media_types     what each resource is written in
    preconditions   ETags, If-Match
    problems        what went wrong, as RFC 9457 says it
    responses       DICOM JSON, multipart, 304, Warning: how an answer is written
    streamed        ... and sent while it is made

    stow            POST /studies: storing, each with store_body, incoming
    stow_metadata   ... out of DICOM JSON or XML and bulk data, or on its way to edit
    store_response  the Store Instances Response
    qido            GET /studies?…: searching
    wado            GET /studies/{study}…: retrieving, each in the transfer syntax of wado_syntax
    wado_metadata   ... metadata
    wado_bulk       ... bulk data
    capabilities    GET /: what there is
    edit            PATCH, PUT, DELETE: edits, each with plans, carry_out, edit_answers
    stow_edit       edits posted as STOW-RS
    history         versions, diff, revert
    patients        /patients/{patientID}
    changefeed      /changefeed
    jobs            edits over several studies

It speaks to the Store protocol and never to the other face.
"""

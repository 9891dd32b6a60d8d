"""What PS3.18 says over HTTP: the DICOMweb face.

    routes          every path in one table
    targets         which data store and which resource a request is about
    locate          which image sets that is, and in which versions; patient_headers: of which patient
    negotiation     media types: what a client accepts, what a body is
    media_types     what each resource is written in
    preconditions   ETags, If-Match
    problems        what went wrong, as RFC 9457 says it
    responses       DICOM JSON, multipart, 304, Warning: how an answer is written
    streamed        ... and sent while it is made

    stow            POST /studies: storing, each with store_body, incoming
    stow_metadata   ... out of DICOM JSON or XML and bulk data, or on its way to edit
    store_response  the Store Instances Response
    qido            GET /studies?…: searching; search_rules: as HealthImaging limits and orders it
    wado            GET /studies/{study}…: retrieving, each in the transfer syntax of wado_syntax
    wado_instances  ... the files; wado_uri: one, by a query string
    wado_metadata   ... metadata; metadata_json: of pieces that are kept
    wado_bulk       ... bulk data; pixel_values: pixel data as such; ranges: some bytes of either
    shown_as_is     ... documents and videos, which need no picture
    frames          ... frames and pixel data; rendered: pictures; instance_pixels: what both are made of
    capabilities    GET /: what there is
    edit            PATCH, PUT, DELETE: edits, each with edit_request, edited, plans, carry_out, edit_answers
    level_edits     ... from datasets to edits by level
    stow_edit       edits posted as STOW-RS; own_pixels: addresses of the pixels stored here, in what is posted
    move            POST …/move
    history         versions, diff, revert
    patients        /patients/{patientID}
    changefeed      /changefeed
    bulk_update     POST /studies/$update; several_studies: such an edit; jobs: what is answered, and its end

It speaks to the Store protocol and never to the other face.
"""

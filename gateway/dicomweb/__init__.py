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

    capabilities    GET /: what there is
    stow/           POST /studies: storing
    qido            GET /studies?…: searching; search_rules: as HealthImaging limits and orders it
    wado/           GET /studies/{study}…: retrieving
    edits/          PATCH, PUT, DELETE, POST …/move, /studies/$update: editing
    history         versions, diff, revert; versions: as JSON
    changefeed      /changefeed

It speaks to the Store protocol and never to the other face.
"""

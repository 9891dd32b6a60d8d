"""The commands of `gateway`; gateway/cli.py has their options.

    serve           the gateway; memory: what its process keeps of it
    import_files    `import` of a folder; import_pacs: of another DICOMweb server
    versions        `history`, `diff`, `revert`
    translate       a DICOM JSON edit as an update document
    verify, backup  of a data folder
    connect         the gateway a command speaks to
    login           how a command says who asks; aws_signature: with an access key, pacs_session: at another server
    terminal        what commands show

Each is a function that takes what its options say and returns an exit status. Those that work on records speak HTTP
to a gateway: one that runs elsewhere, or one that runs in the command's own process over a data folder (connect.py),
so that whatever a command does, a client can do.
"""

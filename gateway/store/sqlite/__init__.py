"""VersionLog in one SQLite file, for one process.

log                the methods, each one hop to a connection's thread
frame_log          ... FrameLog; import_log: ImportLog
database           the file, opened: group commit; connection: a connection on its thread, and errors
write_ahead_log    when it is copied, and what a start makes of the one it finds
schema_steps       the steps of its schema, in schema/; row_checksums: of what it says in each row

appending          SQL that writes versions
studies, versions  ... that reads them; stored_bytes: where files and bulk data lie
qido               ... of QIDO-RS, as qido_statements says it; image_set_search: of SearchImageSets
instance_key       ... by what an instance is looked for
changes            ... of the change feed; tables: data stores, answers, jobs; tags

study_now          a study as it is now, and what an append makes of it
kept_studies       ... those that are known without reading; kept_parts: parts of theirs

log_damage         what `gateway verify` looks for in the log; search_damage: in what searches go by; file_format: in
                   SQLite's own bytes
"""

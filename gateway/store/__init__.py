"""Where image sets live: one protocol for the faces, and what stands behind it.

protocol           Store: what the faces ask for (seam A)
contents           ... the values it speaks of: what is held; edits: what is to become of it; searches: what is found
versioned          VersionedStore: read N, check, apply, append N+1
storing            ... a store request, study by study; importing: which image set a received instance joins
editing            ... an edit of one study; image_set_edits: of one image set in it; moving: of an instance that goes
                   to another one
copying            ... CopyImageSet
originals          ... what an edit writes into Original Attributes Sequence
versioned_search   ... QIDO-RS, and the tags of SearchImageSets
retrieving         ... files and pixel data of a version; instance_files: whether files are as they came
frames             ... image frames of the HealthImaging API
drafts             the next version of an image set while it is made
study_rows         what a study's row says: members, and what searches go by
parts              how the instances of an image set are cut and packed; manifest: which parts a version has; heads:
                   what its instances share; deflated: how each lies in the log; version_document: all of it joined

log                VersionLog: what VersionedStore keeps versions in (seam B); frame_log: image frames beside them;
                   import_log: import jobs
appends            ... the values it speaks of: what is written; log_contents: what is read and found
log_sqlite         ... one SQLite file, one process; its SQL is in sqlite_append, sqlite_studies, sqlite_versions,
                   sqlite_objects, sqlite_qido and qido_statements, sqlite_search, sqlite_changes, sqlite_tables,
                   sqlite_tags and schema/; instance_key: by what an instance is looked for
sqlite_frame_log   ... FrameLog in it; sqlite_import_log: ImportLog
study_now          a study as it is now, and what an append makes of it; kept_studies: those that are known without
                   reading; kept_parts: parts of theirs; kept: what was read and stays until somebody writes
sqlite_database    the file, opened: group commit; sqlite_connection: a connection on its thread, and errors;
                   sqlite_schema: the steps of its schema; row_checksums: of what it says in each row
blobs              Blobs: immutable bytes (seam C)
blobs_folder       ... append-only packs in a folder; shared_pack: the one that small packs join; folders: what
                   the disk is told
receiving          ... a PS3.10 file on its way into a pack
data_folder        the lock: one gateway at a time
verify, backup     whether a data folder is sound, and a copy of it; log_damage, sqlite_file: what verify looks for in
                   the log, and in SQLite's own bytes

objects            what import jobs read and write; places: which bucket a URI means
objects_folder     ... a folder as a bucket; objects_s3: S3
"""

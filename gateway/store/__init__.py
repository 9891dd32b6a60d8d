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
drafts             the next version of an image set while it is made
study_rows         what a study's row says: members, and what searches go by
parts              how the instances of an image set are cut, packed and joined

log                VersionLog: what VersionedStore keeps versions in (seam B)
log_sqlite         ... one SQLite file, one process; its SQL is in sqlite_append, sqlite_versions, sqlite_qido and
                   qido_statements, sqlite_search, sqlite_tables and schema/
study_now          a study as it is now, and what an append makes of it; kept: what was read and stays until
                   somebody writes
sqlite_database    the file, opened: group commit; sqlite_connection: a connection on its thread, and errors;
                   sqlite_schema: the steps of its schema
blobs              Blobs: immutable bytes (seam C)
blobs_folder       ... append-only packs in a folder; shared_pack: the one that small packs join; folders: what
                   the disk is told
data_folder        the lock: one gateway at a time
verify, backup     whether a data folder is sound, and a copy of it
"""

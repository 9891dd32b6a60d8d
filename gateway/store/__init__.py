"""Where image sets live: one protocol for the faces, and what stands behind it.

protocol      Store: what the faces ask for (seam A)
versioned     VersionedStore: read N, check, apply, append N+1
log           VersionLog: what VersionedStore keeps versions in (seam B)
log_sqlite    ... one SQLite file, one process
blobs         Blobs: immutable bytes (seam C)
blobs_folder  ... append-only packs in a folder
parts         how the instances of an image set are cut, packed and joined
"""

"""What VersionedStore keeps versions in, seam B, and how the metadata of a version lie there.

protocol           VersionLog; frame_log: image frames beside the versions; import_log: import jobs
appends            ... the values it speaks of: what is written; contents: what is read and found

heads              what the instances of a version share
parts              how its instances are cut and packed; manifest: which parts it has
deflated           how each lies in the log; version_document: all of it joined
"""

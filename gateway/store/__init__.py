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
kept               what was read and stays until somebody writes

log/               VersionLog: what VersionedStore keeps versions in (seam B), and how a version lies in it
sqlite/            ... one SQLite file, one process
blobs/             Blobs: immutable bytes (seam C), in a folder
objects/           what import jobs read and write: buckets, as S3 has them, or folders

data_folder        the lock: one gateway at a time; folders: what the disk is told
verify, backup     whether a data folder is sound, and a copy of it
"""

"""Editing: one road for every edit. docs/editing.md describes it from outside.

edit            PATCH, PUT, DELETE: receive, parse, map, locate, edit, answer
request         ... force, reason, If-Match, Idempotency-Key, the body
by_level        ... from datasets to edits by level
edited          ... which image sets, in which versions
plans           ... what becomes of each of them
carry_out       ... the Store checks, applies, appends
answers         ... the new versions, or the documents of a dry run

posted          edits posted as STOW-RS; own_pixels: addresses of the pixels stored here, in what is posted
move            POST …/move
patients        /patients/{patientID}
bulk_update     POST /studies/$update; several_studies: such an edit; jobs: what is answered, and its end
"""

"""What the DICOM standard says: pure functions, no I/O.

dataset      attributes and values in memory, the form every codec here reads into and writes from
dictionary   PS3.6 edition 2022b: tag, keyword, VR, VM
levels       which attribute belongs to Patient, Study, Series or Instance
values       what each VR can hold (PS3.5 section 6.2)
json_model   the DICOM JSON Model (PS3.18 Annex F)
json_text    ... its text, read strictly
json_values  ... one value of it, by VR
xml_model    the Native DICOM Model (PS3.19 A.1): reading it
xml_write    ... writing it
xml_text     ... its text, read strictly
xml_values   ... one value of it, by VR
attribute_rules  which tags and VRs a client may name, in either model
part10       PS3.10 files: reading, and writing with edits in them
part10_walk  ... where elements lie; part10_top: at the top level; part10_values: their values
part10_read  ... to a dataset; part10_alike: by what files have in common; part10_pattern: whether they have it
part10_write ... from a dataset; part10_rewrite: a file with other attributes; part10_splice: with few others
encoding     ... how each transfer syntax writes data elements
characters   ... Specific Character Set (PS3.3 C.12.1.1.2)
multipart    multipart/related bodies (RFC 2046, PS3.18 section 8.6)
matching     attribute matching (PS3.4 C.2.2.2)
query_string QIDO-RS query strings (PS3.18 section 8.3.4)
"""

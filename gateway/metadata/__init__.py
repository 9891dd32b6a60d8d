"""What HealthImaging says: image set metadata, SchemaVersion 1.1. Pure functions, no I/O, no clock.

image_set            the metadata of an image set, and updates of it, as values
document             the 1.1 documents: reading and writing them
mapping              datasets and merge patches to 1.1 and back; instance_mapper: the instances of a series to 1.1
targets              what an update names, one thing after the other
constraints          what an update may not do, and what force lifts: the table
checks               ... how each row of it is broken
cases                ... what the checks ask about a target
pixel_description    ... the attributes that say how the stored pixels are to be read
apply                version N and an update to version N+1
diff                 what changed between two versions
fingerprint          whether an instance is as it came
dicom_json           documents to the DICOM JSON Model; series_json: whole series
study_summary        what a search for studies returns
organise             which image set an instance belongs to, and its coercion to it
original_attributes  what an instance said before it was changed
"""

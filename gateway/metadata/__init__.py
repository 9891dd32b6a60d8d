"""What HealthImaging says: image set metadata, SchemaVersion 1.1. Pure functions, no I/O, no clock.

image_set    the metadata of an image set, and updates of it, as values
document     the 1.1 documents: reading and writing them
mapping      datasets and merge patches to 1.1 and back
constraints  what an update may not do, and what force lifts
apply        version N and an update to version N+1
diff         what changed between two versions
organise     which image set an instance belongs to, and its coercion to it
"""

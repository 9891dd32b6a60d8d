"""The operations the gateway carries out, by their name in the service model: one table, and nothing else to register.

An operation of the model that is not here is answered as UnknownOperationException.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.healthimaging.context import Handler
from gateway.healthimaging.copying import copy_image_set
from gateway.healthimaging.datastores import create_datastore, delete_datastore, get_datastore, list_datastores
from gateway.healthimaging.frames import get_image_frame
from gateway.healthimaging.image_sets import (
    delete_image_set,
    get_image_set,
    get_image_set_metadata,
    list_image_set_versions,
    update_image_set_metadata,
)
from gateway.healthimaging.import_jobs import get_dicom_import_job, list_dicom_import_jobs, start_dicom_import_job
from gateway.healthimaging.search import search_image_sets
from gateway.healthimaging.tags import list_tags_for_resource, tag_resource, untag_resource

# What a key needs that may read only; for every other operation it has to write.
READING = frozenset(
    {
        "GetDatastore",
        "ListDatastores",
        "GetDICOMImportJob",
        "ListDICOMImportJobs",
        "SearchImageSets",
        "GetImageSet",
        "GetImageSetMetadata",
        "GetImageFrame",
        "ListImageSetVersions",
        "ListTagsForResource",
    }
)

OPERATIONS: Mapping[str, Handler] = {
    "CreateDatastore": create_datastore,
    "GetDatastore": get_datastore,
    "ListDatastores": list_datastores,
    "DeleteDatastore": delete_datastore,
    "StartDICOMImportJob": start_dicom_import_job,
    "GetDICOMImportJob": get_dicom_import_job,
    "ListDICOMImportJobs": list_dicom_import_jobs,
    "SearchImageSets": search_image_sets,
    "GetImageSet": get_image_set,
    "GetImageSetMetadata": get_image_set_metadata,
    "GetImageFrame": get_image_frame,
    "ListImageSetVersions": list_image_set_versions,
    "UpdateImageSetMetadata": update_image_set_metadata,
    "CopyImageSet": copy_image_set,
    "DeleteImageSet": delete_image_set,
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "ListTagsForResource": list_tags_for_resource,
}

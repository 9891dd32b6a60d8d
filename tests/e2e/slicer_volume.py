"""Fetch a series as 3D Slicer does and load it with Slicer's core: run by the Python that has slicer-core.

Arguments: the DICOMweb root, a study, a series, an empty folder. Prints what was loaded, as JSON.
"""

import json
import sys

import slicer
from dicomweb_client.api import DICOMwebClient

url, study, series, folder = sys.argv[1:]

# The calls of DICOMUtils.importFromDICOMWeb, which saves each instance before Slicer reads it.
client = DICOMwebClient(url=url)
found = client.search_for_series(study_instance_uid=study)
assert series in {one["0020000E"]["Value"][0] for one in found}
expected = client.retrieve_series_metadata(study_instance_uid=study, series_instance_uid=series)
files: list[str] = []
names: set[str] = set()
for dataset in client.iter_series(study_instance_uid=study, series_instance_uid=series):
    files.append(f"{folder}/{len(files)}.dcm")
    names.add(str(dataset.PatientName))
    dataset.save_as(files[-1])
assert len(files) == len(expected)

scene = slicer.vtkMRMLScene()
volume = slicer.vtkMRMLScalarVolumeNode()
storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
scene.AddNode(volume)
scene.AddNode(storage)
storage.SetFileName(files[0])
storage.ResetFileNameList()
for file in files:
    storage.AddFileName(file)
storage.SetSingleFile(0)
assert storage.ReadData(volume)

print(
    json.dumps(
        {
            "names": sorted(names),
            "spacing": volume.GetSpacing(),
            "origin": volume.GetOrigin(),
            "values": slicer.util.arrayFromVolume(volume).tolist(),
        }
    )
)

// What tests/healthimaging/test_javascript.py runs: every operation of the API by AWS's SDK for JavaScript. It prints
// one JSON document of what it saw. Arguments: the endpoint, a data store and an image set of one instance or more.
import { gunzipSync } from "node:zlib";
import * as sdk from "@aws-sdk/client-medical-imaging";

const [endpoint, datastoreId, imageSetId] = process.argv.slice(2);
const client = new sdk.MedicalImagingClient({
  endpoint,
  disableHostPrefix: true,
  region: "us-east-1",
  credentials: { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" },
  maxAttempts: 1,
});
const ids = { datastoreId, imageSetId };
const send = (name, input) => client.send(new sdk[`${name}Command`](input));
const bytes = async (blob) => Buffer.from(await blob.transformToByteArray());
const names = (error) => ({ name: error.name, status: error.$metadata.httpStatusCode, known: error.constructor.name });
const refused = (name, input) => send(name, input).then(() => null, names);

const metadata = await send("GetImageSetMetadata", ids);
const document = JSON.parse(gunzipSync(await bytes(metadata.imageSetMetadataBlob)));
const series = Object.values(document.Study.Series)[0];
const frame = Object.values(series.Instances)[0].ImageFrames[0];
const imageFrame = await send("GetImageFrame", { ...ids, imageFrameInformation: { imageFrameId: frame.ID } });

const update = { SchemaVersion: 1.1, Patient: { DICOM: { PatientName: "WÁNG^JS" } } };
const updated = await send("UpdateImageSetMetadata", {
  ...ids,
  latestVersionId: "1",
  updateImageSetMetadataUpdates: { DICOMUpdates: { updatableAttributes: Buffer.from(JSON.stringify(update)) } },
});
const copied = await send("CopyImageSet", {
  datastoreId,
  sourceImageSetId: imageSetId,
  copyImageSetInformation: { sourceImageSet: { latestVersionId: "2" } },
});
const after = await send("GetImageSet", ids);
const uid = document.Study.DICOM.StudyInstanceUID;
const searched = await send("SearchImageSets", {
  datastoreId,
  searchCriteria: {
    filters: [
      { values: [{ DICOMStudyInstanceUID: uid }], operator: "EQUAL" },
      { values: [{ updatedAt: new Date(0) }, { updatedAt: new Date("2100-01-01") }], operator: "BETWEEN" },
    ],
    sort: { sortField: "updatedAt", sortOrder: "ASC" },
  },
});
const versions = [];
for await (const page of sdk.paginateListImageSetVersions({ client, pageSize: 1 }, ids)) {
  versions.push(...page.imageSetPropertiesList.map((one) => [one.versionId, one.ImageSetWorkflowStatus]));
}

const created = await send("CreateDatastore", { datastoreName: "js", tags: { a: "1" } });
const datastore = (await send("GetDatastore", { datastoreId: created.datastoreId })).datastoreProperties;
const resourceArn = datastore.datastoreArn;
await send("TagResource", { resourceArn, tags: { Team: "CT & MR" } });
await send("UntagResource", { resourceArn, tagKeys: ["a"] });
const tags = (await send("ListTagsForResource", { resourceArn })).tags;
const job = await send("StartDICOMImportJob", {
  datastoreId: created.datastoreId,
  dataAccessRoleArn: "arn:aws:iam::123456789012:role/ImportJobDataAccessRole",
  inputS3Uri: "s3://input/a/",
  outputS3Uri: "s3://output/a/",
});
const properties = (await send("GetDICOMImportJob", { datastoreId: created.datastoreId, jobId: job.jobId }))
  .jobProperties;
const jobs = (await send("ListDICOMImportJobs", { datastoreId: created.datastoreId })).jobSummaries;
const deleted = await send("DeleteImageSet", { datastoreId, imageSetId: copied.destinationImageSetProperties.imageSetId });
const gone = await send("DeleteDatastore", { datastoreId: created.datastoreId });
const listed = await send("ListDatastores", { maxResults: 1 });

console.log(
  JSON.stringify({
    metadata: [metadata.contentType, metadata.contentEncoding, document.ImageSetID],
    frame: [imageFrame.contentType, (await bytes(imageFrame.imageFrameBlob)).toString("base64"), frame],
    updated: [updated.latestVersionId, updated.imageSetState, updated.imageSetWorkflowStatus],
    after: [after.versionId, after.imageSetState, after.updatedAt instanceof Date, after.isPrimary],
    copied: copied.destinationImageSetProperties.imageSetWorkflowStatus,
    searched: searched.imageSetsMetadataSummaries.map((one) => [one.imageSetId, one.version, one.DICOMTags.DICOMPatientName]),
    versions,
    tags,
    datastore: [datastore.datastoreName, datastore.datastoreStatus, datastore.createdAt instanceof Date],
    job: [job.jobStatus, properties.jobId === job.jobId, jobs.length],
    deleted: deleted.imageSetWorkflowStatus,
    gone: gone.datastoreStatus,
    listed: [listed.datastoreSummaries.length, typeof listed.nextToken],
    refusals: [
      await refused("GetImageSet", { datastoreId, imageSetId: "0".repeat(32) }),
      await refused("GetImageSet", { datastoreId: "short", imageSetId }),
      await refused("DeleteDatastore", { datastoreId }),
    ],
  }),
);

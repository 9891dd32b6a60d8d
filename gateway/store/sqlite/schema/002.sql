-- Import jobs. request: JSON, the members of StartDICOMImportJob.
CREATE TABLE import_job (
  id           INTEGER PRIMARY KEY,
  job_id       TEXT NOT NULL UNIQUE,
  datastore    INTEGER NOT NULL REFERENCES datastore,
  status       TEXT NOT NULL,
  submitted_at TEXT NOT NULL,
  ended_at     TEXT,
  message      TEXT,
  who          TEXT NOT NULL,
  request      TEXT NOT NULL,
  client_token TEXT NOT NULL,
  checksum     BLOB NOT NULL DEFAULT x'00000000',
  UNIQUE (datastore, client_token)
);
CREATE INDEX import_job_by_datastore ON import_job (datastore, id DESC);
CREATE INDEX import_job_unfinished ON import_job (id) WHERE status IN ('SUBMITTED', 'IN_PROGRESS');

-- The files of jobs that are not done. pack is null for a file that could not be read. outcome: JSON, null while the
-- file is not placed. warnings: JSON, codes.
CREATE TABLE import_file (
  job                INTEGER NOT NULL REFERENCES import_job,
  number             INTEGER NOT NULL,
  path               TEXT NOT NULL,
  pack               BLOB,
  offset             INTEGER NOT NULL,
  length             INTEGER NOT NULL,
  sha256             BLOB NOT NULL,
  study_instance_uid TEXT NOT NULL,
  warnings           TEXT NOT NULL,
  outcome            TEXT,
  checksum           BLOB NOT NULL DEFAULT x'00000000',
  PRIMARY KEY (job, number),
  UNIQUE (job, path)
) WITHOUT ROWID;

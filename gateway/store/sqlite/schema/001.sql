-- Image sets and their versions. docs/storage.md has the picture.
--
-- Times are ISO 8601 texts in UTC with microseconds, so that they sort as they passed. Integer keys are this file's
-- own; what a client sees is the text beside them. A checksum is of its row: gateway/store/sqlite/row_checksums.py fills it in.

CREATE TABLE datastore (
  id           INTEGER PRIMARY KEY,
  datastore_id TEXT NOT NULL UNIQUE,
  name         TEXT NOT NULL,
  status       TEXT NOT NULL,
  created_at   TEXT NOT NULL,
  updated_at   TEXT NOT NULL,
  properties   TEXT NOT NULL,
  tags         TEXT NOT NULL,
  client_token TEXT UNIQUE,
  checksum     BLOB NOT NULL DEFAULT x'00000000'
);

-- One row for each study, with its current version: the row that compare-and-swap is about. The rest is what QIDO-RS
-- searches for, from the first primary image set (study_date: only what is a date by PS3.5 Table 6.2-1); image_set is null while DICOMweb sees nothing of the study.
CREATE TABLE study (
  id                 INTEGER PRIMARY KEY,
  datastore          INTEGER NOT NULL REFERENCES datastore,
  study_instance_uid TEXT NOT NULL,
  version            INTEGER NOT NULL,
  image_set          INTEGER REFERENCES image_set,
  study_date         TEXT NOT NULL DEFAULT '',
  study_time         TEXT NOT NULL DEFAULT '',
  patient_id         TEXT NOT NULL DEFAULT '',
  accession_number   TEXT NOT NULL DEFAULT '',
  study_id           TEXT NOT NULL DEFAULT '',
  modalities         TEXT NOT NULL DEFAULT '[]',
  sop_classes        TEXT NOT NULL DEFAULT '[]',
  series_count       INTEGER NOT NULL DEFAULT 0,
  instance_count     INTEGER NOT NULL DEFAULT 0,
  UNIQUE (datastore, study_instance_uid)
);
-- All in the order of an answer, so that its first page is read and no more.
CREATE INDEX study_by_date ON study (datastore, study_date DESC, id DESC) WHERE image_set IS NOT NULL;
CREATE INDEX study_by_patient_id ON study (datastore, patient_id, study_date DESC, id DESC) WHERE image_set IS NOT NULL;
CREATE INDEX study_by_accession_number ON study (datastore, accession_number, study_date DESC, id DESC) WHERE image_set IS NOT NULL;
CREATE INDEX study_by_study_id ON study (datastore, study_id, study_date DESC, id DESC) WHERE image_set IS NOT NULL;

-- Modalities in Study (0008,0061), newest study first.
CREATE TABLE study_modality (
  datastore  INTEGER NOT NULL,
  modality   TEXT NOT NULL,
  study_date TEXT NOT NULL,
  study      INTEGER NOT NULL REFERENCES study,
  PRIMARY KEY (datastore, modality, study_date DESC, study DESC)
) WITHOUT ROWID;
CREATE INDEX study_modality_by_study ON study_modality (study);

-- The names of a study's people, case folded, one row for each component group (PS3.5 section 6.2.1).
-- attribute: patient_name or referring_physician_name.
CREATE TABLE study_name (
  datastore INTEGER NOT NULL,
  attribute TEXT NOT NULL,
  name      TEXT NOT NULL,
  study     INTEGER NOT NULL REFERENCES study,
  PRIMARY KEY (datastore, attribute, name, study)
) WITHOUT ROWID;
CREATE INDEX study_name_by_study ON study_name (study);

-- members: JSON, [[image_set, version], …] in the order the image sets were created.
CREATE TABLE study_version (
  study      INTEGER NOT NULL REFERENCES study,
  version    INTEGER NOT NULL,
  updated_at TEXT NOT NULL,
  action     TEXT NOT NULL,
  forced     INTEGER NOT NULL,
  provenance TEXT NOT NULL,
  changed    TEXT NOT NULL,
  members    TEXT NOT NULL,
  checksum   BLOB NOT NULL DEFAULT x'00000000',
  PRIMARY KEY (study, version)
);

-- One row for each image set, with its current version and what SearchImageSets searches for.
CREATE TABLE image_set (
  id                  INTEGER PRIMARY KEY,
  image_set_id        TEXT NOT NULL UNIQUE,
  datastore           INTEGER NOT NULL REFERENCES datastore,
  study               INTEGER NOT NULL REFERENCES study,
  version             INTEGER NOT NULL,
  state               TEXT NOT NULL,
  is_primary          INTEGER NOT NULL,
  created_at          TEXT NOT NULL,
  updated_at          TEXT NOT NULL,
  next_part           INTEGER NOT NULL,
  next_object         INTEGER NOT NULL,
  series_instance_uid TEXT NOT NULL,
  modality            TEXT NOT NULL,
  patient_id          TEXT NOT NULL,
  accession_number    TEXT NOT NULL,
  study_id            TEXT NOT NULL,
  study_time          TEXT NOT NULL,  -- YYYYMMDDHHMMSS.FFFFFF; empty without a StudyDate
  checksum            BLOB NOT NULL DEFAULT x'00000000'
);
CREATE INDEX image_set_by_study ON image_set (study);
CREATE INDEX image_set_by_series ON image_set (datastore, series_instance_uid);
CREATE INDEX image_set_by_patient_id ON image_set (datastore, patient_id);
CREATE INDEX image_set_by_accession_number ON image_set (datastore, accession_number);
CREATE INDEX image_set_by_study_id ON image_set (datastore, study_id);
CREATE INDEX image_set_by_created_at ON image_set (datastore, created_at);
CREATE INDEX image_set_by_updated_at ON image_set (datastore, updated_at);
CREATE INDEX image_set_by_study_time ON image_set (datastore, study_time);

-- Every version of every image set, in the order of commits: the history, and the change feed.
-- manifest: JSON, the numbers of the version's parts by slot. head: Patient, Study and Series, compressed JSON.
CREATE TABLE version (
  sequence            INTEGER PRIMARY KEY AUTOINCREMENT,
  datastore           INTEGER NOT NULL REFERENCES datastore,
  image_set           INTEGER NOT NULL REFERENCES image_set,
  version             INTEGER NOT NULL,
  study               INTEGER NOT NULL REFERENCES study,
  study_version       INTEGER NOT NULL,
  series_instance_uid TEXT NOT NULL,
  state               TEXT NOT NULL,
  workflow_status     TEXT NOT NULL,
  updated_at          TEXT NOT NULL,
  deleted_at          TEXT,
  message             TEXT,
  is_primary          INTEGER NOT NULL,
  forced              INTEGER NOT NULL,
  action              TEXT NOT NULL,
  provenance          TEXT NOT NULL,
  changed             TEXT NOT NULL,
  instance_count      INTEGER NOT NULL,
  manifest            BLOB NOT NULL,
  head                BLOB NOT NULL,
  checksum            BLOB NOT NULL DEFAULT x'00000000',
  UNIQUE (image_set, version)
);
CREATE INDEX version_by_datastore ON version (datastore, sequence);

-- Parts are shared by versions of one image set and never change. The small columns come first: SQLite reads the rest
-- of a long row only when asked for it.
CREATE TABLE part (
  image_set   INTEGER NOT NULL REFERENCES image_set,
  number      INTEGER NOT NULL,
  count       INTEGER NOT NULL,
  sop_classes TEXT NOT NULL,
  crc32       INTEGER NOT NULL,
  raw_length  INTEGER NOT NULL,
  objects     BLOB NOT NULL,
  body        BLOB NOT NULL,
  checksum    BLOB NOT NULL DEFAULT x'00000000',
  PRIMARY KEY (image_set, number)
);

-- In which slot of the manifest a SOP instance is, in every version that has it.
CREATE TABLE slot (
  image_set        INTEGER NOT NULL REFERENCES image_set,
  sop_instance_uid TEXT NOT NULL,
  slot             INTEGER NOT NULL,
  PRIMARY KEY (image_set, sop_instance_uid, slot)
) WITHOUT ROWID;

-- Where the PS3.10 bytes lie. fingerprint: of the attributes they have (metadata/fingerprint.py).
CREATE TABLE object (
  image_set   INTEGER NOT NULL REFERENCES image_set,
  number      INTEGER NOT NULL,
  pack        BLOB NOT NULL,
  offset      INTEGER NOT NULL,
  length      INTEGER NOT NULL,
  sha256      BLOB NOT NULL,
  fingerprint BLOB NOT NULL,
  PRIMARY KEY (image_set, number)
) WITHOUT ROWID;

-- Where large binary values lie.
CREATE TABLE bulk_data (
  image_set INTEGER NOT NULL REFERENCES image_set,
  uri       TEXT NOT NULL,
  pack      BLOB NOT NULL,
  offset    INTEGER NOT NULL,
  length    INTEGER NOT NULL,
  PRIMARY KEY (image_set, uri)
) WITHOUT ROWID;

-- Answers to give again, written with the edit they answer.
CREATE TABLE idempotency (
  datastore  INTEGER NOT NULL REFERENCES datastore,
  key        TEXT NOT NULL,
  digest     TEXT NOT NULL,
  created_at TEXT NOT NULL,
  status     INTEGER NOT NULL,
  headers    TEXT NOT NULL,
  body       BLOB NOT NULL,
  checksum   BLOB NOT NULL DEFAULT x'00000000',
  PRIMARY KEY (datastore, key)
) WITHOUT ROWID;

CREATE TABLE job (
  id           INTEGER PRIMARY KEY,
  job_id       TEXT NOT NULL UNIQUE,
  datastore    INTEGER NOT NULL REFERENCES datastore,
  status       TEXT NOT NULL,
  created_at   TEXT NOT NULL,
  updated_at   TEXT NOT NULL,
  request      TEXT NOT NULL,
  studies      TEXT NOT NULL,
  client_token TEXT,
  checksum     BLOB NOT NULL DEFAULT x'00000000',
  UNIQUE (datastore, client_token)
);
CREATE INDEX job_unfinished ON job (id) WHERE status IN ('SUBMITTED', 'IN_PROGRESS');

CREATE TABLE job_result (
  job    INTEGER NOT NULL REFERENCES job,
  number INTEGER NOT NULL,
  result TEXT NOT NULL,
  checksum BLOB NOT NULL DEFAULT x'00000000',
  PRIMARY KEY (job, number)
) WITHOUT ROWID;

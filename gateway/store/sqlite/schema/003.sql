-- Tags of image sets; JSON, as a data store's.
ALTER TABLE image_set ADD COLUMN tags TEXT NOT NULL DEFAULT '{}';

-- The image_set_id and the version that a version was copied from, JSON; null for all others.
ALTER TABLE version ADD COLUMN copied_from TEXT;

-- What is generated of the pixels of stored objects, made when it is first asked for; all of it can be made again.
-- described: compressed JSON, what stands beside DICOM in an instance of the metadata document.
CREATE TABLE object_frames (
  image_set INTEGER NOT NULL REFERENCES image_set,
  number    INTEGER NOT NULL,
  described BLOB NOT NULL,
  PRIMARY KEY (image_set, number)
);

-- Parts with that in them, beside the parts without.
CREATE TABLE framed_part (
  image_set  INTEGER NOT NULL REFERENCES image_set,
  number     INTEGER NOT NULL,
  crc32      INTEGER NOT NULL,
  raw_length INTEGER NOT NULL,
  body       BLOB NOT NULL,
  PRIMARY KEY (image_set, number)
);

-- Image frames by their ID: which of which object. kept: whether it is served as it lies in the object.
CREATE TABLE frame (
  image_set       INTEGER NOT NULL REFERENCES image_set,
  id              BLOB NOT NULL,
  object          INTEGER NOT NULL,
  number          INTEGER NOT NULL,
  transfer_syntax TEXT NOT NULL,
  kept            INTEGER NOT NULL,
  PRIMARY KEY (image_set, id)
) WITHOUT ROWID;

-- Where frames lie encoded. An ID is made of what was stored, so image sets and data stores share them.
CREATE TABLE encoded_frame (
  id              BLOB NOT NULL,
  transfer_syntax TEXT NOT NULL,
  pack            BLOB NOT NULL,
  offset          INTEGER NOT NULL,
  length          INTEGER NOT NULL,
  PRIMARY KEY (id, transfer_syntax)
) WITHOUT ROWID;

-- Changes of status of data stores and import jobs, for events. after_version: the last version there was then, so that
-- these and the versions have one order. import_job: null where it is the data store that changed.
CREATE TABLE status_change (
  sequence      INTEGER PRIMARY KEY AUTOINCREMENT,
  after_version INTEGER NOT NULL,
  datastore     INTEGER NOT NULL REFERENCES datastore,
  import_job    INTEGER REFERENCES import_job,
  status        TEXT NOT NULL,
  at            TEXT NOT NULL
);
CREATE INDEX status_change_by_datastore ON status_change (datastore, after_version, sequence);

-- Of what was there before this table, the order is lost, and data stores come first.
INSERT INTO status_change (after_version, datastore, status, at) SELECT 0, id, 'ACTIVE', created_at FROM datastore;
INSERT INTO status_change (after_version, datastore, status, at)
  SELECT (SELECT COALESCE(MAX(sequence), 0) FROM version), id, status, updated_at FROM datastore
  WHERE status <> 'ACTIVE';

CREATE TRIGGER datastore_created AFTER INSERT ON datastore BEGIN
  INSERT INTO status_change (after_version, datastore, status, at)
    SELECT COALESCE(MAX(sequence), 0), NEW.id, NEW.status, NEW.created_at FROM version;
END;
CREATE TRIGGER datastore_changed AFTER UPDATE OF status ON datastore WHEN NEW.status <> OLD.status BEGIN
  INSERT INTO status_change (after_version, datastore, status, at)
    SELECT COALESCE(MAX(sequence), 0), NEW.id, NEW.status, NEW.updated_at FROM version;
END;
CREATE TRIGGER import_job_submitted AFTER INSERT ON import_job BEGIN
  INSERT INTO status_change (after_version, datastore, import_job, status, at)
    SELECT COALESCE(MAX(sequence), 0), NEW.datastore, NEW.id, NEW.status, NEW.submitted_at FROM version;
END;
CREATE TRIGGER import_job_changed AFTER UPDATE OF status ON import_job WHEN NEW.status <> OLD.status BEGIN
  INSERT INTO status_change (after_version, datastore, import_job, status, at)
    SELECT COALESCE(MAX(sequence), 0), NEW.datastore, NEW.id, NEW.status,
      COALESCE(NEW.ended_at, strftime('%Y-%m-%dT%H:%M:%f000+00:00', 'now'))
    FROM version;
END;

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

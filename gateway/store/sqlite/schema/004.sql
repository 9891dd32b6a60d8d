-- A checksum for every row of what is generated of pixels, and of the changes of status. Those of the rows that there are
-- are filled in after this step (row_checksums.py).
ALTER TABLE object_frames ADD COLUMN checksum BLOB NOT NULL DEFAULT x'00000000';
ALTER TABLE framed_part ADD COLUMN checksum BLOB NOT NULL DEFAULT x'00000000';
ALTER TABLE frame ADD COLUMN checksum BLOB NOT NULL DEFAULT x'00000000';
ALTER TABLE status_change ADD COLUMN checksum BLOB NOT NULL DEFAULT x'00000000';

-- Encoded frames get the SHA-256 of their bytes, which no statement can find out of packs. So those that there are are
-- forgotten, and encoded again when they are next asked for.
DROP TABLE encoded_frame;
CREATE TABLE encoded_frame (
  id              BLOB NOT NULL,
  transfer_syntax TEXT NOT NULL,
  pack            BLOB NOT NULL,
  offset          INTEGER NOT NULL,
  length          INTEGER NOT NULL,
  sha256          BLOB NOT NULL,
  checksum        BLOB NOT NULL DEFAULT x'00000000',
  PRIMARY KEY (id, transfer_syntax)
) WITHOUT ROWID;

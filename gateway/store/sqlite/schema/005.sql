-- A checksum for the rows that say where bytes lie, and what a stored file has for attributes.
ALTER TABLE object ADD COLUMN checksum BLOB NOT NULL DEFAULT x'00000000';
ALTER TABLE bulk_data ADD COLUMN checksum BLOB NOT NULL DEFAULT x'00000000';

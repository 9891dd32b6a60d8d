-- Which pixel data a file has, tag and VR as 7FE00010OW: the metadata that WADO-RS retrieves name it, and do not read the
-- file for it. Empty for none; null for what was stored before, whose files are looked at.
ALTER TABLE object ADD COLUMN pixels TEXT;

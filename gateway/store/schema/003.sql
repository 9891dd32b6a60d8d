-- Tags of image sets; JSON, as a data store's.
ALTER TABLE image_set ADD COLUMN tags TEXT NOT NULL DEFAULT '{}';

-- The image_set_id and the version that a version was copied from, JSON; null for all others.
ALTER TABLE version ADD COLUMN copied_from TEXT;

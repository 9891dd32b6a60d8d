-- What a search for studies returns of each (gateway/metadata/study_summary.py): a page of them is read from these rows
-- alone. Null where it has to be made of the head.
ALTER TABLE study ADD COLUMN summary TEXT;
UPDATE study SET summary = (
  SELECT head_summary(head, manifest) FROM version JOIN image_set
  ON image_set.id = study.image_set AND version.image_set = image_set.id AND version.version = image_set.version
) WHERE image_set IS NOT NULL;

-- How many series of a modality a study has, and all studies of a day.
ALTER TABLE study_modality ADD COLUMN series INTEGER NOT NULL DEFAULT 0;
UPDATE study_modality SET series = (
  SELECT COUNT(*) FROM image_set WHERE image_set.study = study_modality.study
  AND image_set.modality = study_modality.modality AND is_primary AND state <> 'DELETED'
);
DELETE FROM study_count WHERE modality <> '';
INSERT INTO study_count
  SELECT datastore, modality, study_date, COUNT(*), SUM(series), 0 FROM study_modality
  GROUP BY datastore, modality, study_date;
DROP TRIGGER study_modality_counted;
CREATE TRIGGER study_modality_counted AFTER INSERT ON study_modality BEGIN
  INSERT INTO study_count VALUES (NEW.datastore, NEW.modality, NEW.study_date, 1, NEW.series, 0)
    ON CONFLICT DO UPDATE SET studies = studies + 1, series = series + excluded.series;
END;
DROP TRIGGER study_modality_uncounted;
CREATE TRIGGER study_modality_uncounted AFTER DELETE ON study_modality BEGIN
  UPDATE study_count SET studies = studies - 1, series = series - OLD.series
    WHERE datastore = OLD.datastore AND modality = OLD.modality AND study_date = OLD.study_date;
END;

-- In which image sets to look for an instance of which only the SOP Instance UID is known. key: of all but the end of
-- the UID, so that a series has a few of them, which lie together, and not one page to write for each of its instances
-- (gateway/store/sqlite/instance_key.py).
CREATE TABLE instance_key (
  key       INTEGER NOT NULL,
  image_set INTEGER NOT NULL REFERENCES image_set,
  PRIMARY KEY (key, image_set)
) WITHOUT ROWID;
INSERT INTO instance_key SELECT DISTINCT instance_key(sop_instance_uid), image_set FROM slot ORDER BY 1, 2;

-- The Warning Reasons (0008,1196) that an instance was stored with, JSON; null for none.
ALTER TABLE object ADD COLUMN warnings TEXT;
CREATE INDEX object_with_warnings ON object (image_set) WHERE warnings IS NOT NULL;

-- What searches with wild cards and fuzzy ones go by. names: the component groups of study_name, each in a line, and
-- once more without accents.
ALTER TABLE study ADD COLUMN study_description TEXT NOT NULL DEFAULT '';
ALTER TABLE study ADD COLUMN names TEXT NOT NULL DEFAULT '';
UPDATE study SET (names, study_description) = (
  SELECT head_names(head), head_description(head) FROM version JOIN image_set
  ON image_set.id = study.image_set AND version.image_set = image_set.id AND version.version = image_set.version
) WHERE image_set IS NOT NULL;

-- Which studies have three letters in a row, anywhere in what is searched for: sqlite.org/fts5.html, "The Trigram
-- Tokenizer". It narrows, and the columns decide; so it need not know in which of them. It keeps no copy of the text:
-- what it has of a study is what the view says of it.
CREATE VIRTUAL TABLE study_text USING fts5(text, content = '', columnsize = 0, detail = none, tokenize = 'trigram');
CREATE VIEW study_searched AS
  SELECT id, names || char(10) || patient_id || char(10) || accession_number || char(10) || study_id || char(10)
    || study_description AS text
  FROM study WHERE image_set IS NOT NULL;
INSERT INTO study_text (rowid, text) SELECT id, text FROM study_searched;

-- How many studies there are of a day, with their series and instances: a search says how many more it would find, and
-- to count a million takes too long. modality: '' for all of them; of one, only the studies are counted.
CREATE TABLE study_count (
  datastore  INTEGER NOT NULL,
  modality   TEXT NOT NULL,
  study_date TEXT NOT NULL,
  studies    INTEGER NOT NULL,
  series     INTEGER NOT NULL,
  instances  INTEGER NOT NULL,
  PRIMARY KEY (datastore, modality, study_date)
) WITHOUT ROWID;
INSERT INTO study_count
  SELECT datastore, '', study_date, COUNT(*), SUM(series_count), SUM(instance_count)
  FROM study WHERE image_set IS NOT NULL GROUP BY datastore, study_date
  UNION ALL SELECT datastore, modality, study_date, COUNT(*), 0, 0
  FROM study_modality GROUP BY datastore, modality, study_date;

CREATE TRIGGER study_counted AFTER UPDATE OF image_set, study_date, series_count, instance_count ON study
WHEN (OLD.image_set IS NULL, OLD.study_date, OLD.series_count, OLD.instance_count)
  IS NOT (NEW.image_set IS NULL, NEW.study_date, NEW.series_count, NEW.instance_count)
BEGIN
  INSERT INTO study_count SELECT OLD.datastore, '', OLD.study_date, -1, -OLD.series_count, -OLD.instance_count
    WHERE OLD.image_set IS NOT NULL
    ON CONFLICT DO UPDATE SET studies = studies + excluded.studies, series = series + excluded.series,
      instances = instances + excluded.instances;
  INSERT INTO study_count SELECT NEW.datastore, '', NEW.study_date, 1, NEW.series_count, NEW.instance_count
    WHERE NEW.image_set IS NOT NULL
    ON CONFLICT DO UPDATE SET studies = studies + excluded.studies, series = series + excluded.series,
      instances = instances + excluded.instances;
END;
CREATE TRIGGER study_modality_counted AFTER INSERT ON study_modality BEGIN
  INSERT INTO study_count VALUES (NEW.datastore, NEW.modality, NEW.study_date, 1, 0, 0)
    ON CONFLICT DO UPDATE SET studies = studies + 1;
END;
CREATE TRIGGER study_modality_uncounted AFTER DELETE ON study_modality BEGIN
  UPDATE study_count SET studies = studies - 1
    WHERE datastore = OLD.datastore AND modality = OLD.modality AND study_date = OLD.study_date;
END;

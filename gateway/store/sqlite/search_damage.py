"""What `gateway verify` looks for in what searches go by: all of it can be made again of the rows, and compared."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.store.sqlite.connection import Connection
from gateway.store.sqlite.instance_key import instance_key

# What the triggers have counted, and what there is to count.
_COUNTED = "SELECT * FROM study_count WHERE studies <> 0"
_COUNTS = (
    "SELECT datastore, '', study_date, COUNT(*), SUM(series_count), SUM(instance_count)"
    " FROM study WHERE image_set IS NOT NULL GROUP BY datastore, study_date"
    " UNION ALL SELECT datastore, modality, study_date, COUNT(*), SUM(series), 0"
    " FROM study_modality GROUP BY datastore, modality, study_date"
)

# As study_text is declared, in schema/006.sql.
_TEXTS = "fts5(text, content = '', columnsize = 0, detail = none, tokenize = 'trigram')"

_FOUND = "(SELECT group_concat(rowid) FROM {table} WHERE {name} MATCH asked.terms)"
# Three letters in a row of which searches find other studies than those that have them.
_FOUND_OTHERWISE = (
    "SELECT 1 FROM (SELECT '\"' || replace(term, '\"', '\"\"') || '\"' AS terms"
    " FROM (SELECT term FROM temp.terms UNION SELECT term FROM temp.expected_terms)) AS asked"
    f" WHERE {_FOUND.format(table='main.study_text', name='study_text')}"
    f" IS NOT {_FOUND.format(table='temp.expected', name='expected')} LIMIT 1"
)


def search_tables(connection: Connection) -> Iterator[str]:
    """Check what is counted for searches, and which instances they find, against the rows."""
    if connection.execute(_differing(_COUNTED, f"SELECT * FROM ({_COUNTS})")).fetchone():
        yield "gateway.db: how many studies there are of a day is not what the studies say"
    connection.create_function("instance_key", 1, instance_key, deterministic=True)
    keys = "SELECT instance_key(sop_instance_uid), image_set FROM slot"
    if connection.execute(_differing("SELECT key, image_set FROM instance_key", keys)).fetchone():
        yield "gateway.db: where instances are looked for is not where they are"


def texts(connection: Connection) -> Iterator[str]:
    """Check which studies wild cards find, against what the rows of the studies say.

    What FTS5 has is gone through from end to end, and looked up as a search does: each reads what the other does not.
    """
    connection.execute(f"CREATE VIRTUAL TABLE temp.expected USING {_TEXTS}")
    connection.execute("INSERT INTO temp.expected (rowid, text) SELECT id, text FROM study_searched")
    for name, of in (("terms", "main, study_text"), ("expected_terms", "temp, expected")):
        connection.execute(f"CREATE VIRTUAL TABLE temp.{name} USING fts5vocab({of}, row)")
        connection.execute(f"CREATE VIRTUAL TABLE temp.{name}_within USING fts5vocab({of}, instance)")
    there, expected = (f"SELECT term, doc FROM temp.{name}_within" for name in ("terms", "expected_terms"))
    differing = _differing(there, expected)
    if connection.execute(differing).fetchone() or connection.execute(_FOUND_OTHERWISE).fetchone():
        yield "gateway.db: what searches with wild cards find is not what the studies say"


def text_index(connection: Connection) -> Iterator[str]:
    """Check the index of wild cards as FTS5 does: in a copy, for it asks for a table that can be written."""
    connection.execute(f"CREATE VIRTUAL TABLE temp.copied USING {_TEXTS}")
    for table in ("data", "idx"):
        connection.execute(f"DELETE FROM temp.copied_{table}")
        connection.execute(f"INSERT INTO temp.copied_{table} SELECT * FROM main.study_text_{table}")
    try:
        connection.execute("INSERT INTO temp.copied (copied) VALUES ('integrity-check')")
    except connection.DatabaseError:
        yield "gateway.db: the index that searches with wild cards go by is damaged"


def _differing(one: str, other: str) -> str:
    """Return the statement for the rows that one of two has and the other has not."""
    return f"SELECT * FROM ({one} EXCEPT {other}) UNION ALL SELECT * FROM ({other} EXCEPT {one})"

"""Tags in SQL: a JSON object in the row of the data store or image set that has them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

from gateway.errors import InvalidRequest, NotFound
from gateway.store.contents import MAX_TAGS
from gateway.store.sqlite.connection import Connection
from gateway.store.sqlite.tables import datastore_key, to_json


def tags(connection: Connection, datastore_id: str, image_set_id: str | None) -> dict[str, str]:
    table, key = _resource(connection, datastore_id, image_set_id)
    (text,) = connection.execute(f"SELECT tags FROM {table} WHERE id = ?", (key,)).fetchone()
    found: dict[str, str] = json.loads(text)
    return found


def retag(
    connection: Connection,
    datastore_id: str,
    image_set_id: str | None,
    add: Mapping[str, str],
    remove: Collection[str],
) -> None:
    had = tags(connection, datastore_id, image_set_id)
    has = {name: value for name, value in {**had, **add}.items() if name not in remove}
    if len(has) > max(MAX_TAGS, len(had)):
        raise InvalidRequest(f"a resource has at most {MAX_TAGS} tags")
    table, key = _resource(connection, datastore_id, image_set_id)
    connection.execute(f"UPDATE {table} SET tags = ? WHERE id = ?", (to_json(has), key))


def _resource(connection: Connection, datastore_id: str, image_set_id: str | None) -> tuple[str, int]:
    """Return the table and our key of a data store, or of an image set in it. Raises NotFound."""
    datastore = datastore_key(connection, datastore_id)
    if image_set_id is None:
        return "datastore", datastore
    row = connection.execute(
        "SELECT id FROM image_set WHERE image_set_id = ? AND datastore = ?", (image_set_id, datastore)
    ).fetchone()
    if row is None:
        raise NotFound("image set", image_set_id)
    return "image_set", row[0]

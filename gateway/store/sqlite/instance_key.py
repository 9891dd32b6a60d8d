"""By what to look for an instance of which only the SOP Instance UID is known.

An index of the UIDs themselves would cost a store request one page of the database for each instance, among those of
all series. Most UIDs of a series differ at their end only: an index of what is before it has a few rows for each.
"""

from __future__ import annotations

import zlib

# So many characters are counted through within a series.
_END = 3


def instance_key(sop_instance_uid: str) -> int:
    """Return the key: CRC-32 of a UID without its end. UIDs of other series may have it too."""
    return zlib.crc32(sop_instance_uid[:-_END].encode())

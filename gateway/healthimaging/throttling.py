"""How often an operation may be asked for: a token bucket for each, as the service has them.

Off unless the setting `throttle_percent` is given. It is the whole gateway's, as the service's is the whole account's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil

from gateway.healthimaging.faults import Throttled

# devguide "Throttling limits": requests a second, and how many at once.
RATES: Mapping[str, tuple[float, int]] = {
    "CreateDatastore": (0.085, 1),
    "GetDatastore": (10, 20),
    "ListDatastores": (5, 10),
    "DeleteDatastore": (0.085, 1),
    "StartDICOMImportJob": (1, 2),
    "GetDICOMImportJob": (25, 50),
    "ListDICOMImportJobs": (10, 20),
    "SearchImageSets": (25, 50),
    "GetImageSet": (25, 50),
    "GetImageSetMetadata": (50, 100),
    "GetImageFrame": (1000, 2000),
    "ListImageSetVersions": (25, 50),
    "UpdateImageSetMetadata": (0.25, 1),
    "CopyImageSet": (0.25, 1),
    "DeleteImageSet": (0.25, 1),
    "TagResource": (10, 20),
    "UntagResource": (10, 20),
    "ListTagsForResource": (10, 20),
}


@dataclass(slots=True)
class Buckets:
    """What is left of each operation's bucket, and when that was so."""

    _left: dict[str, tuple[float, datetime]] = field(default_factory=dict)

    def take(self, operation: str, percent: int, now: datetime) -> None:
        """Take a request out of its bucket. percent: of the service's rates. Raises Throttled where it is empty."""
        rate, burst = (figure * percent / 100 for figure in RATES[operation])
        size = max(burst, 1.0)
        left, since = self._left.get(operation, (size, now))
        # A clock that was set back fills nothing.
        left = min(size, left + rate * max(0.0, (now - since).total_seconds()))
        if left < 1:
            self._left[operation] = left, now
            raise Throttled(operation, ceil((1 - left) / rate))
        self._left[operation] = left - 1, now

"""What every operation is given beside its input."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from gateway.events import Account
from gateway.settings import Settings
from gateway.state import ImportRunner
from gateway.store.contents import Provenance
from gateway.store.protocol import Store

# Members of the operation's input shape: str, int, bool, bytes (blobs), datetime (timestamps), dict, list.
Input: TypeAlias = Mapping[str, Any]
# Members of its output shape, of the same types; None is as good as absent.
Output: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Context:
    """The gateway's state, who asks, and the header of the request; names in lower case."""

    store: Store
    settings: Settings
    imports: ImportRunner
    clock: Callable[[], datetime]
    provenance: Provenance = Provenance()
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def account(self) -> Account:
        return Account(self.settings.region, self.settings.account)

    def datastore_arn(self, datastore_id: str) -> str:
        """Return the Amazon Resource Name of a data store."""
        return self.account.datastore_arn(datastore_id)

    def image_set_arn(self, datastore_id: str, image_set_id: str) -> str:
        """Return the Amazon Resource Name of an image set."""
        return self.account.image_set_arn(datastore_id, image_set_id)


Handler: TypeAlias = Callable[[Context, Input], Awaitable[Output]]

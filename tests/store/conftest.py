"""The suites are no test modules by name, and their asserts are to explain themselves like those of one."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    *(
        f"tests.store.{suite}_suite"
        for suite in (
            "blobs",
            "content",
            "copying",
            "editing",
            "frames",
            "happenings",
            "log",
            "search",
            "store",
            "storing",
            "tags",
        )
    )
)

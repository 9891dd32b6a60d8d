"""Values of the service model's shapes for property tests, drawn from botocore's reading of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from botocore.model import Shape
from hypothesis import strategies as st

_ASCII = st.characters(min_codepoint=0x20, max_codepoint=0x7E)


def values(shape: Shape) -> st.SearchStrategy[Any]:
    """Return a strategy for what a caller of boto3 gives for a shape, within its limits."""
    found: st.SearchStrategy[Any] = getattr(_Values, shape.type_name)(shape)
    return found


class _Values:
    @staticmethod
    def structure(shape: Shape) -> st.SearchStrategy[Any]:
        members = {name: values(member) for name, member in shape.members.items()}
        if shape.is_tagged_union:
            return st.one_of(*(st.fixed_dictionaries({name: member}) for name, member in members.items()))
        required = {name: members[name] for name in shape.required_members}
        optional = {name: member for name, member in members.items() if name not in required}
        return st.fixed_dictionaries(required, optional=optional)

    @staticmethod
    def list(shape: Shape) -> st.SearchStrategy[Any]:
        least = shape.metadata.get("min", 0)
        return st.lists(values(shape.member), min_size=least, max_size=min(shape.metadata.get("max", 3), 3))

    @staticmethod
    def map(shape: Shape) -> st.SearchStrategy[Any]:
        return st.dictionaries(values(shape.key), values(shape.value), max_size=3)

    @staticmethod
    def string(shape: Shape) -> st.SearchStrategy[Any]:
        if "enum" in shape.metadata:
            return st.sampled_from(shape.metadata["enum"])
        least, most = shape.metadata.get("min", 0), shape.metadata.get("max", 512)
        pattern = shape.metadata.get("pattern", "").replace(r"\p{ASCII}", "[ -~]")
        if not pattern:
            return st.text(st.characters(exclude_categories=["Cs"]), min_size=least, max_size=min(most, 64))
        # (?!aws:) is about the beginning of a tag key; Hypothesis draws without it, and the filter drops the few.
        drawn = st.from_regex(pattern, fullmatch=True, alphabet=_ASCII)
        return drawn.filter(lambda text: least <= len(text) <= most)

    @staticmethod
    def integer(shape: Shape) -> st.SearchStrategy[Any]:
        return st.integers(shape.metadata.get("min", 0), shape.metadata.get("max", 2**31 - 1))

    @staticmethod
    def boolean(shape: Shape) -> st.SearchStrategy[Any]:
        return st.booleans()

    @staticmethod
    def timestamp(shape: Shape) -> st.SearchStrategy[Any]:
        seconds = st.integers(0, 4_102_444_800)  # whole ones: botocore sends no fraction
        return seconds.map(lambda second: datetime.fromtimestamp(second, UTC))

    @staticmethod
    def blob(shape: Shape) -> st.SearchStrategy[Any]:
        return st.binary(min_size=shape.metadata.get("min", 0), max_size=64)

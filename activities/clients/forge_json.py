"""Reads what a forge answers without trusting it: null, a missing key or another type is the empty value."""

from typing import Any, cast

Row = dict[str, Any]


def text(row: Row, *keys: str) -> str:
    """The first of these keys that holds a text."""
    return next((value for key in keys if isinstance(value := row.get(key), str) and value), "")


def whole(row: Row, key: str) -> int:
    value = row.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def row(body: Any) -> Row:
    """The object that the body is, or an empty one."""
    return cast("Row", body) if isinstance(body, dict) else {}


def rows(body: Any) -> list[Row]:
    """The objects in the list that the body is; none when it is null."""
    if not isinstance(body, list):
        return []
    items: list[Any] = [*body]
    return [row(item) for item in items if isinstance(item, dict)]

"""Writes TOML for tests."""

import json


def as_toml(value: object, inner: bool = False) -> str | None:
    """TOML of tables, lists, texts, numbers and booleans; None where TOML has no such value."""
    if isinstance(value, dict):
        pairs = [(json.dumps(str(key)), as_toml(held, inner=True)) for key, held in value.items()]
        if any(held is None for _, held in pairs):
            return None
        lines = [f"{key} = {held}" for key, held in pairs]
        return "{" + ", ".join(lines) + "}" if inner else "\n".join(lines)
    if isinstance(value, list):
        items = [as_toml(held, inner=True) for held in value]
        return None if None in items else "[" + ", ".join(str(item) for item in items) + "]"
    return None if value is None else json.dumps(value)

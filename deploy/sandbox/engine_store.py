"""Files that are either the old ones or the new ones, never half."""

import os
from datetime import UTC, datetime
from pathlib import Path

NEVER = "0001-01-01T00:00:00Z"


def write_whole(path: Path, content: bytes) -> None:
    """Writes beside and renames: whoever reads meanwhile sees one whole version."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(path)


def now() -> str:
    """The time as Docker writes it: UTC with nanoseconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


def seconds_since(moment: str) -> float:
    when = datetime.fromisoformat(moment[:26] + "+00:00")
    return (datetime.now(UTC) - when).total_seconds()

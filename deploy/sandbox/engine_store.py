"""Files that are either the old ones or the new ones, never half."""

import os
from datetime import UTC, datetime
from pathlib import Path

NEVER = "0001-01-01T00:00:00Z"


def write_whole(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Writes beside and renames: whoever reads meanwhile sees one whole version, and nobody else a secret one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    draft.replace(path)


def now() -> str:
    """The time as Docker writes it: UTC with nanoseconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


def seconds_since(moment: str) -> float:
    when = datetime.fromisoformat(moment[:26] + "+00:00")
    return (datetime.now(UTC) - when).total_seconds()

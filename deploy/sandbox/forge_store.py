"""What the forge remembers beyond git: numbered documents in SQLite, there again after a restart."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Document = dict[str, Any]


class ForgeStore:
    """Documents by kind ("run", "release", …); each has an `id` that is never used again and a `repo`."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        # It outlives a killed process; a lost machine takes the sandbox with it anyway.
        self._db.execute("PRAGMA synchronous=OFF")
        columns = "kind TEXT, id INTEGER, repo TEXT, body TEXT, PRIMARY KEY (kind, id)"
        self._db.execute(f"CREATE TABLE IF NOT EXISTS documents ({columns})")
        self._db.execute("CREATE TABLE IF NOT EXISTS numbers (kind TEXT PRIMARY KEY, last INTEGER)")

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """All of the block's changes, or none of them; the block must not wait for anything."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def add(self, kind: str, repo: str, **fields: Any) -> Document:
        take = "INSERT INTO numbers VALUES (?, 1) ON CONFLICT (kind) DO UPDATE SET last = last + 1 RETURNING last"
        ident = int(self._db.execute(take, (kind,)).fetchone()[0])
        document = {"id": ident, "repo": repo, **fields}
        row = (kind, ident, repo, json.dumps(document))
        self._db.execute("INSERT INTO documents VALUES (?, ?, ?, ?)", row)
        return document

    def get(self, kind: str, repo: str, ident: int) -> Document | None:
        query = "SELECT body FROM documents WHERE kind = ? AND repo = ? AND id = ?"
        row = self._db.execute(query, (kind, repo, ident)).fetchone()
        return json.loads(row[0]) if row else None

    def all(self, kind: str, repo: str, **fields: Any) -> list[Document]:
        """Oldest first; only those whose fields have these values."""
        query = "SELECT body FROM documents WHERE kind = ? AND repo = ? ORDER BY id"
        documents = [json.loads(row[0]) for row in self._db.execute(query, (kind, repo))]
        return [d for d in documents if all(d.get(key) == value for key, value in fields.items())]

    def change(self, kind: str, document: Document, **fields: Any) -> Document:
        """The document with these fields, read afresh; the one given is brought up to date, too."""
        held = self.get(kind, document["repo"], document["id"]) or document
        document.update({**held, **fields})
        body = json.dumps(document)
        self._db.execute("UPDATE documents SET body = ? WHERE kind = ? AND id = ?", (body, kind, document["id"]))
        return document

    def remove(self, kind: str, document: Document) -> None:
        self._db.execute("DELETE FROM documents WHERE kind = ? AND id = ?", (kind, document["id"]))

    def close(self) -> None:
        self._db.close()


def now() -> str:
    """RFC 3339, to the second, as the forges write it."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

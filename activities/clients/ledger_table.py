"""The ledger's one table, and how a row is chained to the one before it."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

BEGINNING = "0" * 64
"""What the first row has in place of the hash of a row before it."""

metadata = sa.MetaData()
ledger = sa.Table(
    "ledger",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("event", sa.Text, nullable=False, unique=True),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("project", sa.Text, nullable=False, index=True),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("workflow", sa.Text, nullable=False),
    sa.Column("release", sa.Text, nullable=False, index=True),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("place", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("evidence", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("previous", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
)

_REFUSAL = "the ledger is append-only"
_GUARDS = {
    "sqlite": [
        f"CREATE TRIGGER ledger_no_{word} BEFORE {word} ON ledger BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
        for word in ("UPDATE", "DELETE")
    ],
    "postgresql": [
        f"""CREATE OR REPLACE FUNCTION ledger_append_only() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$""",
        """CREATE TRIGGER ledger_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger
           FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only()""",
    ],
}


def create(connection: sa.Connection) -> None:
    """Make the table where there is none, guarded against changes by the database itself."""
    if sa.inspect(connection).has_table(ledger.name):
        return
    metadata.create_all(connection)
    for statement in _GUARDS.get(connection.dialect.name, []):
        connection.exec_driver_sql(statement)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row; `at` is UTC in ISO 8601, `release` the run's id, `previous` the hash of the row before."""

    seq: int
    event: str
    at: str
    project: str
    version: str
    workflow: str
    release: str
    actor: str
    action: str
    place: str
    outcome: str
    detail: str
    evidence: list[str]
    digest: str
    previous: str
    hash: str = ""

    @classmethod
    def read(cls, columns: sa.RowMapping) -> "Row":
        """The row as the database gives it."""
        found: dict[str, Any] = {str(name): value for name, value in columns.items()}
        try:
            found["evidence"] = json.loads(found["evidence"])
        except ValueError:
            found["evidence"] = [found["evidence"]]
        return cls(**found)

    def columns(self) -> dict[str, Any]:
        return asdict(self) | {"evidence": _canonical(self.evidence)}

    def sealed(self) -> str:
        """sha256 over everything in the row but its own hash; the row before is part of it."""
        content = asdict(self)
        del content["hash"]
        return hashlib.sha256(_canonical(content).encode()).hexdigest()


def storable(text: str) -> str:
    """The text without what no database takes: NUL and halves of characters."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

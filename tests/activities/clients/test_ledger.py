import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from activities.clients.ledger import Chain, Ledger
from activities.clients.ledger_reading import NoRows, address_of
from activities.clients.ledger_table import BEGINNING
from activities.errors import Unreachable
from deploy.ports import free_port
from runbook.message import Order, ReleaseRef
from runbook.record import Entry
from tests.postgresql import postgresql_server

DIGEST = "sha256:" + "a" * 64
WRITER = """
import asyncio, json, sys
from activities.clients.ledger import Ledger
from tests.activities.clients.test_ledger import entry, order
async def main():
    ledger = Ledger(sys.argv[1])
    sys.stdin.readline()
    for event in json.loads(sys.argv[2]):
        await ledger.keep(order(), [entry(event)])
asyncio.run(main())
"""


def order(project: str = "shop", version: str = "1.4.0", release: str = "run-1") -> Order:
    return Order(
        ref=ReleaseRef(
            project=project,
            version=version,
            workflow_id=f"release-{project}",
            release=release,
            epoch=1,
            requested_by="alice",
        )
    )


def entry(event: str = "run-1/1/done", **more: Any) -> Entry:
    return Entry.model_validate({"event": event, "actor": "worker", "action": "tag", "outcome": "done"} | more)


@pytest.fixture(scope="module")
def postgresql() -> Generator[str]:
    with postgresql_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty ledger in either database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    server = str(request.getfixturevalue("postgresql"))
    name = f"ledger_{abs(hash(request.node.name))}"
    engine = sa.create_engine(server.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return server.removesuffix("postgres") + name


@pytest.fixture
def ledger(url: str) -> Generator[Ledger]:
    ledger = Ledger(url)
    yield ledger
    ledger.close()


async def test_what_is_kept_is_found_again(ledger: Ledger) -> None:
    kept = entry(
        place="web1.example.net", detail="é pushed", evidence=["one", 'two "quoted"'], version="1.4.0", digest=DIGEST
    )
    head = await ledger.keep(order(), [kept])
    [row] = await ledger.rows("shop")
    assert (row.seq, row.previous, row.hash) == (1, BEGINNING, head)
    assert (row.event, row.actor, row.action, row.outcome) == ("run-1/1/done", "worker", "tag", "done")
    assert (row.place, row.detail, row.evidence, row.digest) == (
        "web1.example.net",
        "é pushed",
        ["one", 'two "quoted"'],
        DIGEST,
    )
    assert (row.project, row.version, row.workflow, row.release) == ("shop", "1.4.0", "release-shop", "run-1")
    assert row.at.endswith("+00:00")
    assert await ledger.has("run-1/1/done")
    assert not await ledger.has("run-1/2/done")
    assert await ledger.head() == head


async def test_an_empty_ledger_holds(ledger: Ledger) -> None:
    assert await ledger.rows("shop") == []
    assert await ledger.verify() is None
    assert await ledger.head() == BEGINNING


async def test_a_ledger_that_is_only_looked_at_is_neither_made_nor_written(url: str, ledger: Ledger) -> None:
    address = address_of(url)
    if address.get_backend_name() == "sqlite":
        Path(str(address.database)).touch()
    early, late = Ledger(address, writable=False), Ledger(address, writable=False)
    with pytest.raises(NoRows, match="no table of a ledger"):
        await early.chain()
    head = await ledger.keep(order(), [entry("a"), entry("b")])
    assert await late.chain() == Chain(2, head)
    with pytest.raises(Unreachable, match=r"read-?only"):
        await late.keep(order(), [entry("c")])
    early.close()
    late.close()


async def test_each_row_carries_the_hash_of_the_one_before(ledger: Ledger) -> None:
    await ledger.keep(order(), [entry("a"), entry("b")])
    await ledger.keep(order("other"), [entry("c")])
    await ledger.keep(order(release="run-2"), [entry("d")])
    rows = await ledger.rows("shop")
    [other] = await ledger.rows("other")
    assert [row.seq for row in rows] == [1, 2, 4]
    assert [rows[1].previous, other.previous, rows[2].previous] == [rows[0].hash, rows[1].hash, other.hash]
    assert await ledger.verify() is None
    assert [row.event for row in await ledger.rows("shop", "run-2")] == ["d"]


async def test_an_event_is_kept_once_and_as_it_was_first(ledger: Ledger) -> None:
    first = await ledger.keep(order(), [entry("a", detail="first")])
    assert await ledger.keep(order(), [entry("a", detail="second")]) == first
    await ledger.keep(order(), [entry("a"), entry("b"), entry("b")])
    assert [(row.event, row.detail) for row in await ledger.rows("shop")] == [("a", "first"), ("b", "")]


async def test_text_that_no_database_takes_is_kept_readable(ledger: Ledger) -> None:
    await ledger.keep(order(), [entry("a", detail="nul \0 half \ud800", evidence=["\0"])])
    [row] = await ledger.rows("shop")
    assert (row.detail, row.evidence) == ("nul \ufffd half ?", ["\ufffd"])
    assert await ledger.verify() is None


async def test_processes_that_write_at_once_make_one_chain_and_keep_each_event_once(url: str, ledger: Ledger) -> None:
    own = [[f"{writer}/{number}" for number in range(20)] for writer in range(2)]
    shared = [f"shared/{number}" for number in range(10)]
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, url, json.dumps([*events[:10], *shared, *events[10:]])],
            stdin=subprocess.PIPE,
            cwd=Path(__file__).parents[3],
        )
        for events in own
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"go\n")
        writer.stdin.close()
    assert [writer.wait(60) for writer in writers] == [0, 0]
    rows = await ledger.rows("shop")
    assert sorted(row.event for row in rows) == sorted([*own[0], *own[1], *shared])
    assert await ledger.verify() is None


async def test_tasks_that_keep_at_once_make_one_chain(ledger: Ledger) -> None:
    await asyncio.gather(*(ledger.keep(order(), [entry(f"{number % 15}")]) for number in range(30)))
    assert len(await ledger.rows("shop")) == 15
    assert await ledger.verify() is None


@pytest.mark.parametrize("change", ["UPDATE ledger SET detail = 'x'", "DELETE FROM ledger"])
async def test_the_database_itself_refuses_changes(url: str, ledger: Ledger, change: str) -> None:
    await ledger.keep(order(), [entry()])
    with pytest.raises(sa.exc.DBAPIError, match="append-only"):
        execute(url, change)
    assert await ledger.verify() is None


async def test_a_ledger_that_is_away_is_unreachable_and_shows_no_password(tmp_path: Path) -> None:
    for url in (
        f"sqlite:///{tmp_path}/no/such/folder/ledger.db",
        f"postgresql://runbook:s3cret@127.0.0.1:{free_port()}/x",
    ):
        ledger = Ledger(url)
        with pytest.raises(Unreachable, match="the ledger at") as caught:
            await ledger.keep(order(), [entry()])
        assert "s3cret" not in str(caught.value)
        assert "\n" not in str(caught.value)
        ledger.close()


async def test_what_is_no_database_is_unreachable(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_text("This is a letter, not a database, and a long one too. " * 50)
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    with pytest.raises(Unreachable, match="not a database"):
        await ledger.rows("shop")
    ledger.close()


async def test_a_writer_waits_for_another_and_then_goes_on(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    await ledger.keep(order(), [entry("a")])
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    keeping = asyncio.create_task(ledger.keep(order(), [entry("b")]))
    done, _ = await asyncio.wait([keeping], timeout=0.3)
    assert not done
    assert [row.event for row in await ledger.rows("shop")] == ["a"]
    other.execute("COMMIT")
    other.close()
    await keeping
    assert [row.event for row in await ledger.rows("shop")] == ["a", "b"]
    ledger.close()


async def outcome(ledger: Ledger, result: str, version: str, *, approvers: Sequence[str] = ()) -> None:
    event = f"{await ledger.head()}/{result}"
    kept = entry(event, action="outcome", outcome=result, digest=DIGEST, evidence=list(approvers), version=version)
    await ledger.keep(order(version=version), [kept])


async def test_the_history_is_read_from_the_outcomes(ledger: Ledger) -> None:
    assert (await ledger.history("shop")).last_good is None
    await outcome(ledger, "released", "1.3.0")
    await outcome(ledger, "released", "1.4.0", approvers=["bob"])
    await outcome(ledger, "rejected", "1.5.0")
    history = await ledger.history("shop")
    assert history.last_good is not None
    assert history.before is not None
    assert (history.last_good.version, history.last_good.digest, history.last_good.approved_by) == (
        "1.4.0",
        DIGEST,
        ["bob"],
    )
    assert history.before.version == "1.3.0"
    assert [good.version for good in history.good_versions] == ["1.4.0", "1.3.0"]
    assert history.released("1.3.0") is not None
    assert history.released("1.5.0") is None
    assert (await ledger.history("other")).last_good is None


def execute(url: str, statement: str) -> None:
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(statement)
    finally:
        engine.dispose()

"""A look at a host, kept as lines of the ledger and read again."""

import pytest

from runbook.host_state import HostRecord
from tests.projects import DIGEST
from tests.workflows.findings import RECORDED, host_state_of


def read(lines: list[str]) -> HostRecord | None:
    return HostRecord.read("production-1", "1.4.0", RECORDED, lines)


def test_what_was_kept_is_what_was_seen() -> None:
    state = host_state_of("production-1", restarts=2)
    assert read([*state.lines, "env file same"]) == HostRecord(
        host="production-1",
        version="1.4.0",
        digest=DIGEST,
        container_id=state.container_id,
        restarts=2,
        started_at=state.started_at,
        at=RECORDED,
    )


def test_nothing_is_kept_as_nothing() -> None:
    record = read(host_state_of("production-1", container_id="", digest="", started_at="").lines)
    assert record is not None
    assert (record.container_id, record.digest, record.version) == ("", "", "")


@pytest.mark.parametrize("lines", [[], ["container abc"], ["container a", "digest b", "restarts many", "started c"]])
def test_what_is_no_record_is_none(lines: list[str]) -> None:
    assert read(lines) is None

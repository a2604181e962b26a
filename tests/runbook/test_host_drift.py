"""In what a host differs from its record, rule by rule."""

from typing import Any

import pytest

from runbook.host_drift import DriftKind, drifts
from runbook.host_state import EnvFile
from tests.projects import OLD_DIGEST
from tests.workflows.findings import host_record, host_state_of

HOST = "production-1"
OTHER = {"container_id": "another", "release": "run-2"}
RULES: dict[str, tuple[dict[str, Any], list[DriftKind]]] = {
    "as it was left": ({}, []),
    "no container": ({"container_id": ""}, [DriftKind.NO_CONTAINER]),
    "no container, but the new one of a cut-short swap": (
        {"container_id": "", "others": ["shop-new-5"]},
        [DriftKind.NO_CONTAINER],
    ),
    "several": ({"others": ["shop-old-4"]}, [DriftKind.SEVERAL]),
    "stopped": ({"state": "exited"}, [DriftKind.NOT_UP]),
    "paused": ({"state": "paused"}, [DriftKind.NOT_UP]),
    "another image of another run": (
        {**OTHER, "digest": OLD_DIGEST, "digests": [OLD_DIGEST], "version": "1.3.0"},
        [DriftKind.OTHER_DIGEST, DriftKind.REPLACED],
    ),
    "another image by hand": (
        {"container_id": "another", "release": "", "digest": OLD_DIGEST, "digests": [OLD_DIGEST]},
        [DriftKind.OTHER_DIGEST, DriftKind.FOREIGN],
    ),
    "an image of no known digest": (
        {**OTHER, "digest": "", "digests": []},
        [DriftKind.OTHER_DIGEST, DriftKind.REPLACED],
    ),
    "the same image by hand": ({"container_id": "another", "release": ""}, [DriftKind.FOREIGN]),
    "the same image by another run": (OTHER, [DriftKind.REPLACED]),
    "the same container whose image lost its names": ({"digest": "", "digests": []}, []),
    "an image that got a second digest": (
        {**OTHER, "digests": [OLD_DIGEST, "sha256:" + "a" * 64]},
        [DriftKind.REPLACED],
    ),
    "restarted by its engine": ({"restarts": 2, "started_at": "later"}, [DriftKind.RESTARTED]),
    "restarting": ({"restarts": 2, "state": "restarting"}, [DriftKind.NOT_UP, DriftKind.RESTARTED]),
    "started again by hand": ({"started_at": "later"}, [DriftKind.RESTARTED]),
    "another container has starts of its own": (
        {**OTHER, "restarts": 5, "started_at": "later"},
        [DriftKind.REPLACED],
    ),
    "env file edited": ({"env_file": EnvFile.DIFFERS, "variables": 2}, [DriftKind.ENV_FILE]),
    "env file gone": ({"env_file": EnvFile.UNREADABLE, "env_trouble": "no such file"}, [DriftKind.ENV_FILE]),
    "env file not comparable": ({"env_file": EnvFile.UNKNOWN}, []),
    "no container has no env file": ({"container_id": "", "env_file": EnvFile.DIFFERS}, [DriftKind.NO_CONTAINER]),
}


@pytest.mark.parametrize("rule", RULES)
def test_what_differs_is_found_and_nothing_else(rule: str) -> None:
    changes, wanted = RULES[rule]
    found = drifts(host_record(HOST), host_state_of(HOST, **changes))
    assert [drift.kind for drift in found] == wanted


def test_where_nothing_ran_nothing_is_right_and_anything_else_is_not() -> None:
    nothing = host_record(HOST, container_id="", digest="", version="", started_at="")
    assert drifts(nothing, host_state_of(HOST, container_id="", state="")) == []
    assert [drift.kind for drift in drifts(nothing, host_state_of(HOST))] == [DriftKind.REPLACED]


def test_without_a_record_of_its_own_a_host_is_compared_by_the_digest_alone() -> None:
    by_digest = host_record(HOST, container_id=None, started_at="")
    assert drifts(by_digest, host_state_of(HOST, restarts=3)) == []
    other = host_state_of(HOST, digest=OLD_DIGEST, digests=[OLD_DIGEST], release="")
    assert [drift.kind for drift in drifts(by_digest, other)] == [DriftKind.OTHER_DIGEST, DriftKind.FOREIGN]


def test_a_container_by_hand_that_was_put_back_is_what_was_recorded() -> None:
    assert drifts(host_record(HOST, digest=""), host_state_of(HOST, release="", digest="", digests=[])) == []


def test_a_difference_is_another_one_once_it_changed() -> None:
    keys = {
        drift.key
        for restarts in (1, 1, 2)
        for drift in drifts(host_record(HOST), host_state_of(HOST, restarts=restarts))
    }
    assert len(keys) == 2
    assert all(key.startswith(f"{HOST}/restarted/") for key in keys)


def test_it_is_said_with_both_sides() -> None:
    changed = host_state_of(HOST, **OTHER, digest=OLD_DIGEST, digests=[OLD_DIGEST], version="1.3.0")
    said = [drift.what for drift in drifts(host_record(HOST), changed)]
    assert said == [
        f"runs v1.3.0 {OLD_DIGEST}, recorded is v1.4.0 sha256:{'a' * 64}",
        "container another of run run-2, recorded is new-producti",
    ]

"""The tag that a pipeline gives the image of a commit: how a project's file may spell it."""

from typing import Any

import pytest
from pydantic import ValidationError

from runbook.artifact_table import ArtifactTable
from tests.projects import COMMIT, project_table


def table(**keys: Any) -> ArtifactTable:
    return ArtifactTable.model_validate({**project_table()["artifact"], **keys})


@pytest.mark.parametrize(
    ("pattern", "tag"),
    [
        ("{commit}", COMMIT),
        ("sha-{commit}", f"sha-{COMMIT}"),
        ("sha-{commit:.7}", f"sha-{COMMIT[:7]}"),
        ("{commit:.12}-amd64", f"{COMMIT[:12]}-amd64"),
        ("{commit:.40}", COMMIT),
        ("Main_{commit}.1", f"Main_{COMMIT}.1"),
        ("a" * 88 + "{commit}", "a" * 88 + COMMIT),
        ("", ""),
    ],
)
def test_a_commits_tag_is_spelt_as_the_pipeline_does(pattern: str, tag: str) -> None:
    assert table(commit_tag=pattern).tag_of_commit(COMMIT) == tag


def test_a_commits_tag_is_its_whole_id_when_left_out() -> None:
    assert table().tag_of_commit(COMMIT) == COMMIT


@pytest.mark.parametrize(
    "pattern",
    [
        "latest",
        "main",
        "v1.4.0",
        " ",
        "{short}",
        "{commit:.6}",
        "{commit:.41}",
        "{commit:7}",
        "{Commit}",
        "{}",
        "commit",
    ],
)
def test_a_tag_that_is_the_same_for_all_commits_is_refused(pattern: str) -> None:
    with pytest.raises(ValidationError, match="is one tag for all commits: write "):
        table(commit_tag=pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "-{commit}",
        ".{commit}",
        "sha:{commit}",
        "x:latest{commit}",
        "sha/{commit}",
        "sha {commit}",
        "{commit}\n",
        "{commit}{version}",
        "{{commit}}",
        "ä{commit}",
        "a" * 89 + "{commit}",
    ],
)
def test_what_no_registry_takes_as_a_tag_is_refused(pattern: str) -> None:
    with pytest.raises(ValidationError, match="makes no tag: beside "):
        table(commit_tag=pattern)


def test_a_commits_tag_is_text() -> None:
    with pytest.raises(ValidationError, match="valid string"):
        table(commit_tag=None)

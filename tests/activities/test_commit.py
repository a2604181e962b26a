"""The commit's steps, against the sandbox's forge and real git."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from activities.checkout import Checkouts
from activities.clients.forge import ForgeClient
from activities.clients.http import new_client
from activities.commit import CommitActivities
from activities.errors import Refused
from runbook.commit import ChangelogToRead, CommitToVerify, TagToPush, VersionFilesToRead
from runbook.trouble import Cause
from tests.activities.clients.origin import FORGE, Origin, client, git
from tests.activities.releasing import reference


@asynccontextmanager
async def group(folder: Path) -> AsyncIterator[CommitActivities]:
    async with new_client() as http:
        mine = client(folder / "worker")
        yield CommitActivities(mine, ForgeClient(http), Checkouts(mine))


@pytest.fixture
async def commits(tmp_path: Path) -> AsyncIterator[CommitActivities]:
    async with group(tmp_path) as made:
        yield made


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin(tmp_path / "origin")


def about(origin: Origin, commit: str = "", version: str = "1.4.0", **changes: Any) -> dict[str, Any]:
    project = origin.project(**changes)
    return {"ref": reference(version), "project": project, "forge": FORGE, "commit": commit or origin.first}


async def test_the_changelog_is_read_at_the_commit(origin: Origin, commits: CommitActivities) -> None:
    found = await commits.changelog(ChangelogToRead(**about(origin), path="CHANGELOG.md", version="1.4.0"))
    assert found.text == "- Checkout is faster"
    assert found.evidence == ["- Checkout is faster"]


@pytest.mark.parametrize(
    ("path", "version", "said"),
    [
        ("CHANGELOG.md", "1.5.0", r"CHANGELOG\.md at \w{12} has no section for 1\.5\.0: write one"),
        ("HISTORY.md", "1.4.0", r"has no file HISTORY\.md"),
    ],
)
async def test_a_changelog_that_is_silent_about_the_version_is_refused(
    origin: Origin, commits: CommitActivities, path: str, version: str, said: str
) -> None:
    with pytest.raises(Refused, match=said):
        await commits.changelog(ChangelogToRead(**about(origin), path=path, version=version))


async def test_every_version_file_must_say_the_version_and_all_wrong_ones_are_named(
    origin: Origin, commits: CommitActivities
) -> None:
    files = {"VERSION": "v1.4.0\n", "pyproject.toml": '[project]\nversion = "1.3.9"\n', "setup.json": "{}"}
    commit = origin.commit("Bump", files)
    paths = ["package.json", "VERSION"]
    found = await commits.version_bump(VersionFilesToRead(**about(origin, commit), paths=paths, version="1.4.0"))
    assert found.evidence == ["package.json: 1.4.0", "VERSION: v1.4.0"]
    paths += ["pyproject.toml", "setup.json"]
    said = r"pyproject\.toml says '1\.3\.9'; setup\.json states no version: version is no text in it at .*, not 1\.4\.0"
    with pytest.raises(Refused, match=said):
        await commits.version_bump(VersionFilesToRead(**about(origin, commit), paths=paths, version="1.4.0"))


# ---- the commit itself


async def test_a_commit_on_the_branch_is_verified_with_its_last_five_commits(
    origin: Origin, commits: CommitActivities
) -> None:
    for number in range(6):
        origin.commit(f"Change {number}")
    commit = origin.commit("Release", {"notes.txt": "final"})
    origin.commit("Later")
    found = await commits.verify_commit(CommitToVerify(**about(origin, commit), branch="main"))
    assert found.commit == commit
    assert found.summary == f"{commit[:12]} is on main, 1 commits behind its head, and clean"
    assert [line.rpartition(": ")[2] for line in found.evidence[:5]] == [
        "Release",
        *(f"Change {n}" for n in (5, 4, 3, 2)),
    ]
    assert found.evidence[5:] == [f"clean checkout of {commit}", "package.json: 1.4.0"]


async def test_a_commit_on_another_branch_is_refused(origin: Origin, commits: CommitActivities) -> None:
    commit = origin.commit("Aside", branch="aside")
    with pytest.raises(Refused, match="is not on branch main"):
        await commits.verify_commit(CommitToVerify(**about(origin, commit), branch="main"))
    with pytest.raises(Refused, match="has no branch release"):
        await commits.verify_commit(CommitToVerify(**about(origin, commit), branch="release"))


async def test_a_commit_without_the_bump_is_refused_at_the_last_look(origin: Origin, commits: CommitActivities) -> None:
    with pytest.raises(Refused, match=r"package\.json says '1\.4\.0'.*not 1\.5\.0"):
        await commits.verify_commit(CommitToVerify(**about(origin, version="1.5.0"), branch="main"))


async def test_a_commit_that_skips_ci_is_warned_of(origin: Origin, commits: CommitActivities) -> None:
    commit = origin.commit("Release\n\n[Skip CI]")
    found = await commits.verify_commit(CommitToVerify(**about(origin, commit), branch="main"))
    assert found.evidence[-1] == "its message says [skip ci]: the forge may start no pipeline for its tag"


# ---- the tag


async def test_the_tag_is_pushed_once_and_then_found(origin: Origin, commits: CommitActivities) -> None:
    order = TagToPush(**about(origin), tag="v1.4.0", message="v1.4.0")
    first, again = await commits.tag(order), await commits.tag(order)
    assert (first.existed, again.existed) == (False, True)
    assert first.summary == f"v1.4.0 is pushed, on {origin.first[:12]}"
    assert again.summary == f"v1.4.0 was there already, on {origin.first[:12]}"
    assert git(origin.path, "cat-file", "-t", "v1.4.0") == "tag"


async def test_a_tag_that_stands_elsewhere_is_refused(origin: Origin, commits: CommitActivities) -> None:
    origin.tag("v1.4.0", origin.commit("More"))
    with pytest.raises(Refused, match="a published tag is never moved") as refused:
        await commits.tag(TagToPush(**about(origin), tag="v1.4.0", message="v1.4.0"))
    assert refused.value.cause is Cause.TAG_MOVED

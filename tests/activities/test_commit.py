"""The commit's steps, against the sandbox's forge and real git."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from activities.changelog import section_of
from activities.checkout import Checkouts
from activities.clients.forge import ForgeClient
from activities.clients.http import new_client
from activities.commit import CommitActivities
from activities.errors import NotYet, Refused, Unreachable
from activities.version_file import stated_version
from deploy.sandbox.forge import Flavour
from runbook.commit import ChangelogToRead, CommitToCheck, CommitToVerify, TagToPush, VersionFilesToRead
from runbook.trouble import Cause
from tests.activities.clients.forges import FLAVOURS, Odd, json_of, odd
from tests.activities.clients.origin import FORGE, Origin, client, git
from tests.activities.releasing import Orders, reference
from tests.deploy.sandbox.forging import Bench, bench, eventually

SHA = "a" * 40


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


# ---- CI


def to_check(folder: Path, held: Bench | Odd, commit: str, version: str = "1.0.0") -> CommitToCheck:
    return CommitToCheck(**Orders(folder, held.url, commit, version).common)


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_a_commit_whose_checks_all_succeeded_is_green(
    tmp_path: Path, commits: CommitActivities, flavour: Flavour
) -> None:
    async with bench(tmp_path, flavour=flavour) as held:
        found = await commits.ci_green(to_check(tmp_path, held, held.sha))
    assert (found.contexts, found.runs) == (2, 0)
    assert found.evidence == ["success: ci / lint (push)", "success: ci / test (push)"]


async def test_one_failed_check_is_refused_by_name(tmp_path: Path, commits: CommitActivities) -> None:
    async with bench(tmp_path) as held:
        bad = {"state": "failure", "context": "security", "target_url": "http://ci.example.net/7"}
        (await held.client.post(f"/statuses/{held.sha}", json=bad)).raise_for_status()
        with pytest.raises(Refused, match=r"1 of 3 checks of commit .* did not succeed: security") as refused:
            await commits.ci_green(to_check(tmp_path, held, held.sha))
    assert refused.value.evidence == ["failure: security http://ci.example.net/7"]


async def test_a_failure_on_the_second_page_is_not_overlooked(tmp_path: Path, commits: CommitActivities) -> None:
    async with bench(tmp_path) as held:
        for number in range(51):
            state = {"state": "success", "context": f"c{number}"}
            (await held.client.post(f"/statuses/{held.sha}", json=state)).raise_for_status()
        bad = {"state": "error", "context": "last"}
        (await held.client.post(f"/statuses/{held.sha}", json=bad)).raise_for_status()
        with pytest.raises(Refused, match="last"):
            await commits.ci_green(to_check(tmp_path, held, held.sha))


async def test_a_check_under_way_is_waited_for(tmp_path: Path, commits: CommitActivities) -> None:
    async with bench(tmp_path) as held:
        await held.shop.set_checks(held.sha, "pending")
        with pytest.raises(NotYet, match=r"2 of 2 checks .* under way: ci / lint \(push\), ci / test \(push\)"):
            await commits.ci_green(to_check(tmp_path, held, held.sha))


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_no_check_at_all_is_not_green(tmp_path: Path, commits: CommitActivities, flavour: Flavour) -> None:
    async with bench(tmp_path, flavour=flavour) as held:
        made = await held.shop.commit_version("1.1.0")
        held.forge.store.all("status", "acme/shop", sha=made)
        for status in held.forge.store.all("status", "acme/shop", sha=made):
            held.forge.store.remove("status", status)
        with pytest.raises(Unreachable, match="no successful check at all, which is not green"):
            await commits.ci_green(to_check(tmp_path, held, made))


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_the_failed_pipeline_of_the_releases_own_tag_does_not_stand_in_the_way_of_the_next_try(
    tmp_path: Path, commits: CommitActivities, flavour: Flavour
) -> None:
    async with bench(tmp_path, flavour=flavour, pipeline={"fail_first": 9}) as held:
        await held.shop.push_tag("1.0.0", held.sha)

        async def failed() -> bool:
            rows = held.forge.store.all("status", "acme/shop", sha=held.sha)
            return any(row["status"] == "failure" for row in rows) and not _unfinished(held)

        await eventually(failed)
        found = await commits.ci_green(to_check(tmp_path, held, held.sha))
        assert (found.contexts, found.runs) == (2, 0)
        # For another version of the same commit it is a failed run like any other.
        with pytest.raises(Refused, match="did not succeed"):
            await commits.ci_green(to_check(tmp_path, held, held.sha, "1.0.1"))


def _unfinished(held: Bench) -> bool:
    return any(run["status"] not in {"success", "failure"} for run in held.forge.store.all("run", "acme/shop"))


def run_row(ident: int, conclusion: str, **more: Any) -> dict[str, Any]:
    status = "completed" if conclusion else "in_progress"
    fixed = {"id": ident, "run_number": ident, "head_sha": SHA, "event": "push", "path": "ci.yml@refs/heads/main"}
    url = f"http://f/acme/shop/actions/runs/{ident}"
    return {**fixed, "status": status, "conclusion": conclusion, "html_url": url, **more}


@asynccontextmanager
async def with_runs(folder: Path, *runs: dict[str, Any], statuses: Any = None) -> AsyncIterator[Odd]:
    answers = {
        "GET /actions/runs": json_of({"workflow_runs": list(runs), "total_count": len(runs)}),
        f"GET /commits/{SHA}/status": json_of({"statuses": statuses}, {"statuses": None}),
    }
    async with odd(folder, answers=answers) as (held, _):
        yield held


async def test_runs_count_as_checks_and_the_newest_of_each_workflow_decides(
    tmp_path: Path, commits: CommitActivities
) -> None:
    runs = [run_row(1, "failure"), run_row(2, "success"), run_row(3, "skipped", path="docs.yml@refs/heads/main")]
    async with with_runs(tmp_path, *runs) as held:
        found = await commits.ci_green(to_check(tmp_path, held, SHA))
    assert (found.contexts, found.runs) == (0, 2)


@pytest.mark.parametrize(
    ("runs", "error", "said"),
    [
        ([run_row(1, "success"), run_row(2, "failure")], Refused, r"ci\.yml for push of refs/heads/main"),
        ([run_row(1, "success"), run_row(2, "cancelled", event="schedule")], Refused, "for schedule of"),
        ([run_row(1, "success"), run_row(2, "")], NotYet, "1 of 1 checks"),
        ([run_row(1, "skipped")], Unreachable, "no successful check at all"),
        ([run_row(1, "success", path="release.yml@refs/tags/v1.0.0")], Unreachable, "no successful check at all"),
        ([run_row(1, "failure", path="release.yml@refs/tags/v1.0.0-rc.1")], Refused, r"refs/tags/v1\.0\.0-rc\.1"),
    ],
)
async def test_a_run_that_did_not_succeed_is_not_green(
    tmp_path: Path, commits: CommitActivities, runs: list[dict[str, Any]], error: type[Exception], said: str
) -> None:
    async with with_runs(tmp_path, *runs) as held:
        with pytest.raises(error, match=said):
            await commits.ci_green(to_check(tmp_path, held, SHA))


async def test_a_context_that_the_tags_run_wrote_over_is_told_by_its_address(
    tmp_path: Path, commits: CommitActivities
) -> None:
    runs = [run_row(1, "success"), run_row(2, "failure", path="ci.yml@refs/tags/v1.0.0")]
    statuses = [
        {"id": 1, "context": "ci / test (push)", "status": "failure", "target_url": "/acme/shop/actions/runs/2/jobs/0"},
        {"id": 2, "context": "lint", "status": "success", "target_url": "/acme/shop/actions/runs/22/jobs/0"},
    ]
    async with with_runs(tmp_path, *runs, statuses=statuses) as held:
        found = await commits.ci_green(to_check(tmp_path, held, SHA))
    assert (found.contexts, found.runs) == (1, 1)


# ---- changelog


SECTION = "### Added\n\n- Carts"


@pytest.mark.parametrize(
    "heading",
    [
        "## [1.4.0] - 2026-01-02",
        "## 1.4.0",
        "## v1.4.0",
        "# 1.4.0 (2026-01-02)",
        "## [v1.4.0](https://example.net) 2026",
        "### Version 1.4.0",
        "## 1.4.0: carts",
    ],
)
def test_a_section_is_found_under_any_common_heading(heading: str) -> None:
    text = f"# Changelog\n\n## [Unreleased]\n\n{heading}\n\n{SECTION}\n\n{heading.replace('4', '3')}\n\n- Old\n"
    assert section_of(text, "1.4.0") == SECTION


@pytest.mark.parametrize(
    "heading", ["## 1.4.00", "## 1.4.0-rc.1", "## 11.4.0", "## 1.4", "## 1.4.0.1", "1.4.0", "## To 1.4.0"]
)
def test_a_heading_of_another_version_is_not_taken_for_it(heading: str) -> None:
    assert section_of(f"{heading}\n\n{SECTION}\n", "1.4.0") is None


@pytest.mark.parametrize(
    "body", ["", "\n\n", "### Added\n\n### Fixed\n", "<!-- to be written -->\n", "[1.4.0]: https://example.net\n"]
)
def test_a_section_that_says_nothing_is_empty(body: str) -> None:
    assert section_of(f"## 1.4.0\n{body}\n## 1.3.0\n- Old\n", "1.4.0") == ""


def test_a_heading_inside_an_example_ends_no_section() -> None:
    text = "## 1.4.0\n\n```sh\n# a comment\n## 1.3.0\n```\n- Carts\n\n## 1.3.0\n- Old\n"
    assert "Carts" in (section_of(text, "1.4.0") or "")
    assert section_of("```\n## 1.4.0\n- Example\n```\n", "1.4.0") is None


def test_a_long_section_is_cut() -> None:
    assert len(section_of("## 1.4.0\n" + "- word\n" * 2000, "1.4.0") or "") == 4000


@pytest.mark.parametrize("level", ["#", "##"])
def test_a_large_heading_of_the_same_size_ends_the_section(level: str) -> None:
    assert section_of(f"{level} 1.4.0\n\n{level} Contributing\n\nPlease do\n", "1.4.0") == ""


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


# ---- version files


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("package.json", '{"name": "shop", "version": "1.4.0"}'),
        ("pyproject.toml", '[project]\nname = "shop"\nversion = "1.4.0"\n'),
        ("pyproject.toml", '[project]\ndynamic = ["dependencies"]\n[tool.poetry]\nversion = "1.4.0"\n'),
        ("Cargo.toml", '[package]\nversion = "1.4.0"\n[dependencies]\nserde = { version = "2.0.0" }\n'),
        ("Cargo.toml", '[workspace.package]\nversion = "1.4.0"\n'),
        ("VERSION", "1.4.0\n"),
        ("deep/.version", "  1.4.0"),
    ],
)
def test_the_version_is_read_from_any_common_file(path: str, content: str) -> None:
    assert stated_version(path, content.encode()) == "1.4.0"


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("package.json", '{"name": "shop"}'),
        ("package.json", '{"version": 14}'),
        ("package.json", '["1.4.0"]'),
        ("package.json", '{"version": "1.4'),
        ("pyproject.toml", '[project]\ndynamic = ["version"]\n'),
        ("pyproject.toml", 'version = "1.4.0"\n'),
        ("Cargo.toml", "[package]\nversion = { workspace = true }\n"),
        ("pyproject.toml", "[project"),
    ],
)
def test_a_file_without_a_version_is_not_guessed_at(path: str, content: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        stated_version(path, content.encode())


def test_a_file_that_is_no_text_has_no_version() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        stated_version("VERSION", b"\xff\xfe")


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

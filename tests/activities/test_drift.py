"""What changed since people approved is told, and is nothing but told."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from activities.drift import DriftActivities
from activities.errors import StepError, Unreachable
from activities.projects import Projects
from runbook.artifact_table import ArtifactTable
from runbook.drift import DriftToFind, FoundDrift
from runbook.message import ReleaseRef
from runbook.project import fingerprint
from tests.activities.performing import perform
from tests.activities.test_projects import EXAMPLE
from tests.projects import DIGEST, OLD_DIGEST, image, project

REF = ReleaseRef(
    project="shop", version="1.4.0", workflow_id="release-shop", release="run", epoch=1, requested_by="carol"
)


@dataclass
class Tags:
    """A registry that knows one tag."""

    answer: str | StepError = DIGEST
    asked: list[str] = field(default_factory=list)

    async def digest(self, artifact: ArtifactTable, tag: str) -> str:
        self.asked.append(f"{artifact.image}:{tag}")
        if isinstance(self.answer, StepError):
            raise self.answer
        return self.answer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.toml").write_text(EXAMPLE)
    return tmp_path


async def compared(folder: Path, tags: Tags) -> FoundDrift:
    order = DriftToFind(
        ref=REF, artifact=project().artifact, image=image(), file_fingerprint=fingerprint(EXAMPLE.encode())
    )
    return await perform(DriftActivities(tags, Projects(folder)).compare, order)


async def test_all_as_approved_is_no_difference(folder: Path) -> None:
    tags = Tags()
    found = await compared(folder, tags)
    assert found.differences == []
    assert found.summary == "v1.4.0 and the project's file are as approved"
    assert tags.asked == ["acme/shop:v1.4.0"]


async def test_a_tag_that_was_moved_is_told_with_both_digests(folder: Path) -> None:
    found = await compared(folder, Tags(OLD_DIGEST))
    assert len(found.differences) == 1
    assert f"v1.4.0 was moved to {OLD_DIGEST}" in found.differences[0]
    assert f"{DIGEST} runs, as approved" in found.differences[0]
    assert found.evidence == found.differences


async def test_an_edited_file_is_told(folder: Path) -> None:
    (folder / "shop.toml").write_text(EXAMPLE + "\n# edited\n")
    found = await compared(folder, Tags())
    assert "the project's file was edited after the plan" in found.summary


async def test_a_file_edited_into_nonsense_is_told_and_stops_nothing(folder: Path) -> None:
    (folder / "shop.toml").write_text("nonsense")
    assert "no longer valid" in (await compared(folder, Tags())).summary


async def test_a_registry_that_does_not_answer_is_told_beside_the_rest(folder: Path) -> None:
    (folder / "shop.toml").unlink()
    found = await compared(folder, Tags(Unreachable("registry registry.example.net did not answer")))
    assert [line.split(" ")[0] for line in found.differences] == ["registry.example.net/acme/shop:v1.4.0", "the"]

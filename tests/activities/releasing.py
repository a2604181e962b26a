"""What the orders of a release about commit, pipeline and record are made of, for tests."""

from pathlib import Path
from typing import Any

from runbook.image import Image
from runbook.message import ReleaseRef
from runbook.project import ForgeTable, PipelineTable, ProjectTable
from runbook.record import PostmortemToOpen, ReleaseToRecord
from tests.activities.clients.forges import forge, project

DIGEST = f"sha256:{'d' * 64}"
HEAD = "e" * 64


def reference(version: str = "1.0.0", release: str = "run-1", workflow_id: str = "release-shop") -> ReleaseRef:
    return ReleaseRef(
        project="shop",
        version=version,
        workflow_id=workflow_id,
        release=release,
        epoch=1_700_000_000_000,
        requested_by="alice",
    )


class Orders:
    """The parts that every order shares, for the forge at `url`; the token's file is kept in `folder`."""

    def __init__(self, folder: Path, url: str, commit: str, version: str = "1.0.0", **changes: Any) -> None:
        self.ref = reference(version)
        self.project: ProjectTable = project(url, **changes)
        self.forge: ForgeTable = forge(folder, url)
        self.commit = commit
        self.tag = f"v{version}"

    @property
    def common(self) -> dict[str, Any]:
        return {"ref": self.ref, "project": self.project, "forge": self.forge, "commit": self.commit}

    def run(self, **table: Any) -> dict[str, Any]:
        pipeline = PipelineTable.model_validate({"poll_every": "100ms", **table})
        return {**self.common, "pipeline": pipeline, "tag": self.tag}

    def record(self, **changes: Any) -> ReleaseToRecord:
        image = Image(registry="registry.example.net", name="acme/shop", version=self.ref.version, digest=DIGEST)
        fields = {"tag": self.tag, "image": image, "approvers": ["bob", "carol"], "changelog": "### Added\n\n- Carts"}
        return ReleaseToRecord.model_validate({**self.common, **fields, **changes})

    def postmortem(self, **changes: Any) -> PostmortemToOpen:
        fields = {"reason": "health deadline passed", "timeline": ["10:00 swap done"], "evidence": ["502"]}
        ref = reference(self.ref.version, workflow_id="release-shop-rollback")
        return PostmortemToOpen.model_validate({**self.common, "ref": ref, **fields, **changes})

"""Who may read what, once the lines of the pages that install with Compose have been typed by root."""

import os
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.deploy.running import ROOT, ended, output_of
from tests.docs.pages import blocks

WORKER, TEMPORAL = 10001, 1000
CONFIG = "/etc/release-runbook"
NEEDED = [program for program in ("setpriv", "openssl", "sh") if not shutil.which(program)]

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or bool(NEEDED), reason=f"not root, or not installed: {', '.join(NEEDED)}"
)


@pytest.fixture
def folder() -> Generator[Path]:
    """Where everybody may come, as to /etc; pytest's own folders are root's alone."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made) / "release-runbook"


def reads(uid: int, path: Path) -> bool:
    words = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "cat", str(path)]
    return ended(words).returncode == 0


@pytest.mark.parametrize("umask", ["022", "077"])
@pytest.mark.parametrize("page", ["README.md", "docs/operations.md"])
def test_worker_and_temporal_read_what_is_theirs_and_nothing_else(folder: Path, page: str, umask: str) -> None:
    told = [block for block in blocks(ROOT / page, "sh") if f"{CONFIG}/secrets" in block and "systemd" not in block]
    lines = [line for line in "".join(told).splitlines() if not line.startswith("docker compose")]
    assert len(lines) > 6
    typed = [f"umask {umask}", *lines[:2], f"echo token > {CONFIG}/secrets/forge-token", *lines[2:]]
    output_of(["sh", "-ec", "\n".join(typed).replace(CONFIG, str(folder))], folder=ROOT)
    assert reads(WORKER, folder / "projects" / "shop.toml")
    assert reads(WORKER, folder / "secrets" / "forge-token")
    assert reads(TEMPORAL, folder / "secrets" / "database-password")
    assert not reads(TEMPORAL, folder / "secrets" / "forge-token")
    assert not reads(WORKER, folder / "secrets" / "database-password")
    listed = ["setpriv", f"--reuid={WORKER}", f"--regid={WORKER}", "--clear-groups", "ls", str(folder / "projects")]
    assert output_of(listed).split() == ["project.schema.json", "shop.toml"]

"""Runs a program for a test, and says what it said when it failed."""

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def ended(
    words: Sequence[str], *, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(words), capture_output=True, text=True, timeout=60, check=False, env=environment, cwd=folder
    )


def output_of(words: Sequence[str], *, environment: Mapping[str, str] | None = None, folder: Path | None = None) -> str:
    """Its standard output; it must exit 0."""
    result = ended(words, environment=environment, folder=folder)
    assert result.returncode == 0, f"{shlex.join(words)}: {result.stderr or result.stdout}"
    return result.stdout

"""pytest run on a test of its own, for tests of what plugins make of it."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run(folder: Path, plugin: str, test: str, *more: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """How it ended with this plugin, on a file with this text in it; `more` are words for pytest."""
    (folder / "test_one.py").write_text(f"import pytest\n{test}\n")
    words = ["-m", "pytest", "-p", plugin, "-p", "no:cacheprovider", "--rootdir", str(folder), "-c", os.devnull]
    return subprocess.run(
        [sys.executable, *words, *more, str(folder)],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

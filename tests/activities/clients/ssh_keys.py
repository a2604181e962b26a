"""Keys and tables for SSH in tests."""

from pathlib import Path
from typing import Any

import asyncssh

from runbook.project import SshTable
from tests.activities.host_bench import Bench


def table(bench: Bench, **changes: Any) -> SshTable:
    return bench.environment().ssh.model_copy(update=changes)


def write_key(path: Path) -> str:
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(path)
    return f"file:{path}"

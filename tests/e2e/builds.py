"""Two builds of the worker: this checkout's, and a copy of it with two more steps, as the next version would have."""

import shutil
from pathlib import Path

from deploy.demo.house import CHECKOUT

_PACKAGES = ("activities", "process", "runbook", "workflows")
_BEFORE_THE_GATE = """
        if workflow.patched("prove-credentials-before-staging"):
            await do(steps.CREDENTIALS, orders.credentials_to_prove())
"""
_AFTER_THE_GATE = """
        if workflow.patched("prove-credentials-before-production"):
            await self.waiting.perform(steps.CREDENTIALS, orders.credentials_to_prove())
"""
_SCANNED = "        await do(steps.SCAN, orders.image_to_scan(image))\n"
_APPROVED = "        approvers = await self.gate.authorize(orders, candidate)\n"


def next_build(folder: Path) -> Path:
    """A checkout whose release proves the registry's credentials twice more: before the gate and after it."""
    for package in _PACKAGES:
        shutil.copytree(CHECKOUT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "worker.py", folder)
    release = folder / "workflows" / "release.py"
    text = release.read_text(encoding="utf-8")
    for line, step in ((_SCANNED, _BEFORE_THE_GATE), (_APPROVED, _AFTER_THE_GATE)):
        assert text.count(line) == 1, f"workflows/release.py no longer has {line.strip()!r}"
        text = text.replace(line, line + step)
    release.write_text(text, encoding="utf-8")
    return folder

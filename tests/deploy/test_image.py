"""The worker's image: no engine here can build it without a network, so what it says is followed by hand."""

import json
import re
import shutil
import signal
import sys
from pathlib import Path

from tests.deploy.dockerfile import copied, instructions
from tests.deploy.running import DEPLOY, ROOT, output_of
from tests.programs import worker_process
from tests.servers import TemporalServer

# Leaves what the image has: the copied files, and the packages of the worker's lock alone. It is told the lock's names.
ALONE = """
import importlib.abc, importlib.metadata, json, os, re, runpy, sys
locked, folder = set(json.loads(sys.argv[1])), sys.argv[2]
name_of = lambda text: re.sub(r"[-_.]+", "-", text).lower()
others = {
    module for module, owners in importlib.metadata.packages_distributions().items()
    if not locked & {name_of(owner) for owner in owners}
}
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in others and not path:
            raise ModuleNotFoundError(f"{name} is not in the image")
installed = importlib.metadata.Distribution.from_name
def from_name(name):
    if name_of(name) not in locked:
        raise importlib.metadata.PackageNotFoundError(name)
    return installed(name)
importlib.metadata.Distribution.from_name = from_name
sys.path.insert(0, folder)
OURS = ("runbook", "workflows", "activities", "process", "console", "deploy", "worker", "starter")
others -= set(OURS)
sys.meta_path.insert(0, Absent())
"""
LOADED = f"""{ALONE}
import worker, starter, deploy.healthcheck, deploy.ledger
print(json.dumps({{n: m.__file__ for n, m in sys.modules.items() if n.partition(".")[0] in OURS}}))
sys.stdout.flush()
os._exit(0)
"""
STARTED = f"""{ALONE}
sys.argv = [os.path.join(folder, "worker.py")]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_it_runs_as_nobody_in_particular() -> None:
    assert [rest for word, rest in instructions() if word == "USER"] == ["10001:10001"]


def test_it_starts_from_a_pinned_base_and_installs_by_hash() -> None:
    assert {rest.split()[0] for word, rest in instructions() if word == "FROM"} == {"python:${PYTHON}"}
    [base] = [rest for word, rest in instructions() if word == "ARG" and rest.startswith("PYTHON=")]
    assert re.fullmatch(r"PYTHON=3\.\d+\.\d+-slim-\w+", base)
    [install] = [rest for word, rest in instructions() if word == "RUN" and "pip install" in rest]
    assert "--require-hashes" in install


def test_it_has_the_programs_that_the_worker_runs() -> None:
    [installed] = [rest for word, rest in instructions() if word == "RUN" and "apt-get install" in rest]
    assert {"git", "openssh-client", "ca-certificates", "tini"} <= set(installed.split())


def test_it_is_ended_by_the_signal_that_the_worker_listens_for_and_is_checked() -> None:
    assert ("STOPSIGNAL", "SIGTERM") in instructions()
    [check] = [rest for word, rest in instructions() if word == "HEALTHCHECK"]
    assert check.endswith('"-m", "deploy.healthcheck"]')


def test_what_it_copies_is_what_the_builder_is_sent() -> None:
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert {line[1:] for line in lines if line.startswith("!")} == copied()
    assert [name for name in copied() if not (ROOT / name).exists()] == []


def test_both_programs_can_be_loaded_from_what_it_copies_and_installs(tmp_path: Path) -> None:
    words = [sys.executable, "-c", LOADED, *image(tmp_path)]
    loaded = json.loads(output_of(words, environment={"PATH": "/usr/bin:/bin"}, folder=tmp_path))
    assert {"worker", "starter", "deploy.healthcheck"} <= set(loaded)
    strays = {name: file for name, file in loaded.items() if file and not file.startswith(str(tmp_path))}
    assert strays == {}


async def test_its_worker_gets_ready_and_ends_when_it_is_told_to(temporal: TemporalServer, tmp_path: Path) -> None:
    program = ("-P", "-c", STARTED, *image(tmp_path))
    async with worker_process(tmp_path, program, RUNBOOK_TASK_QUEUE="image", **temporal.environment) as process:
        await process.until("worker ready")
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0


def image(folder: Path) -> list[str]:
    """What ALONE is told, with the copied files in a folder below this one."""
    for name in copied():
        source, target = ROOT / name, folder / "image" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    locked = re.findall(r"^([a-z0-9.-]+)==", (DEPLOY / "requirements.lock").read_text(), re.MULTILINE)
    return [json.dumps(locked), str(folder / "image")]

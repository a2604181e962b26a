"""The projects' files: one TOML a project in the worker's folder, every fault of it named at once with its path."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from activities.errors import Refused
from activities.window import zone_of
from runbook.identifier import ProjectName, without_latest
from runbook.names import lane_fault
from runbook.project import Project, fingerprint

_LARGEST = 256 * 1024
_NAME: TypeAdapter[str] = TypeAdapter(ProjectName)
_BRACE = re.compile(r"\{[^{}]*\}?|\}")
_SAID = {"extra_forbidden": "there is no such key", "missing": "is missing"}


@dataclass(frozen=True)
class ReadProject:
    """A project's file as it was read, and the sha256 of its bytes."""

    project: Project
    fingerprint: str


class Projects:
    """`<name>.toml` in `folder` is the project `name`; read anew each time, so that a correction counts at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        """Those too that `load` refuses."""
        return sorted(path.stem for path in self._folder.glob("*.toml") if _is_name(path.stem))

    def load(self, name: str, *, for_release: bool = True) -> ReadProject:
        """The project's file; blocks for as long as the disk does.

        Not `for_release`, what only a release minds is no fault: a rollback must not wait until the file is corrected.

        Raises:
            Refused: there is none, or it has faults: the message names them all, and so does its evidence.
        """
        path = self._folder / f"{name}.toml"
        if not _is_name(name) or not path.is_file():
            known = ", ".join(known for known in self.names() if not lane_fault(known)) or "none"
            raise Refused(f"there is no project {name!r}: {path} is not there; projects of this worker: {known}")
        if for_release and (fault := lane_fault(name)):
            raise Refused(f"{path.name}: {fault}")
        content = _content(path)
        project = parsed(content, for_release=for_release)
        if isinstance(project, Project):
            return ReadProject(project, fingerprint(content))
        more = f" (and {len(project) - 20} more)" if len(project) > 20 else ""
        raise Refused(f"{path.name}: {'; '.join(project[:20])}{more}", evidence=[fault[:300] for fault in project[:20]])


def parsed(content: bytes, *, for_release: bool = True) -> Project | list[str]:
    """The project, or every fault of the file in one line each, with its path: `production.hosts[1]: …`."""
    try:
        tables = tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        return [f"byte {error.start + 1} is not UTF-8: save the file as UTF-8"]
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        return [f"it is not TOML: {error}"]
    faults = dict(_latest(tables, ()))
    try:
        project = Project.model_validate(tables)
    except ValidationError as error:
        for found in error.errors(include_url=False, include_input=False, include_context=False):
            faults.setdefault(_path(found["loc"]), _SAID.get(found["type"], found["msg"].removeprefix("Value error, ")))
    else:
        if for_release:
            faults |= dict(_unfit(project))
        if not faults:
            return project
    return [" ".join(f"{path}: {why}".split()) for path, why in faults.items()]


def _unfit(project: Project) -> Iterator[tuple[str, str]]:
    """What is well formed and yet no release should go by; plans in history are not asked, so that they still decode."""
    if shared := project.shared_addresses:
        why = f"{shared[0]} is production's as well, which the smoke test would try: give staging its own, like https://{{host}}:{{port}}/…"
        yield "staging", why
    for key, why in project.production.soak.faults():
        yield f"production.soak.{key}", why
    yield from _unfilled(project)
    yield from _unknown_zone(project)


def _unfilled(project: Project) -> Iterator[tuple[str, str]]:
    """Every address of a service with a brace that nothing takes the place of: nobody would ever answer there."""
    for name, table in (("staging", project.staging), ("production", project.production)):
        for key, address in (("health", table.health), ("version", table.version)):
            if left := _BRACE.search(address.replace("{host}", "").replace("{port}", "")):
                yield f"{name}.{key}", f"{left[0]} stands for nothing: only {{host}} and {{port}} are each host's own"


def _unknown_zone(project: Project) -> Iterator[tuple[str, str]]:
    """A zone that the file names, even where no window needs it yet."""
    if "zone" in project.gate.model_fields_set:
        try:
            zone_of(project.gate.zone)
        except Refused as refused:
            yield "gate.zone", str(refused).removeprefix("gate.zone: ")


def _latest(value: Any, at: tuple[str | int, ...]) -> Iterator[tuple[str, str]]:
    """Every place that says :latest, in whatever key."""
    if isinstance(value, str):
        try:
            without_latest(value)
        except ValueError as error:
            yield _path(at), str(error)
    elif isinstance(value, dict):
        for key, held in cast("dict[str, Any]", value).items():
            yield from _latest(held, (*at, key))
    elif isinstance(value, list):
        for index, held in enumerate(cast("Sequence[Any]", value)):
            yield from _latest(held, (*at, index))


def _path(at: Sequence[str | int]) -> str:
    """`production.hosts[1]`."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in at)
    return path.removeprefix(".") or "the file"


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise Refused(f"{path} can't be read by the worker ({error.strerror}): make it readable for its user") from None
    if len(content) > _LARGEST:
        raise Refused(f"{path} is larger than 256 KiB: that is no project's file")
    return content


def _is_name(name: str) -> bool:
    try:
        _NAME.validate_python(name)
    except ValidationError:
        return False
    return True

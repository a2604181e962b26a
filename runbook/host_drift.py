"""In what a host differs from its record: the rules, one by one."""

from collections.abc import Iterator
from enum import StrEnum

from runbook.host_state import EnvFile, HostRecord, HostState
from runbook.identifier import HostAddress, tag_of
from runbook.message import Message


class DriftKind(StrEnum):
    NO_CONTAINER = "no-container"
    SEVERAL = "several-containers"
    NOT_UP = "not-up"
    OTHER_DIGEST = "other-digest"
    REPLACED = "replaced"
    FOREIGN = "foreign"
    RESTARTED = "restarted"
    ENV_FILE = "env-file"


class Drift(Message):
    """One difference: `what` says it in a line, `mark` tells it from another one of its kind on its host."""

    kind: DriftKind
    host: HostAddress
    what: str
    mark: str = ""

    @property
    def key(self) -> str:
        """The same for as long as the difference stays what it is."""
        return f"{self.host}/{self.kind}/{self.mark}"


def drifts(record: HostRecord, state: HostState) -> list[Drift]:
    """Every difference, the gravest first."""
    rules = (_containers, _up, _image, _maker, _starts, _environment)
    return [
        Drift(kind=kind, host=state.host, what=what[:300], mark=mark)
        for rule in rules
        for kind, what, mark in rule(record, state)
    ]


_Found = Iterator[tuple[DriftKind, str, str]]


def _containers(record: HostRecord, state: HostState) -> _Found:
    others = ", ".join(sorted(state.others))
    if not state.container_id and record.container_id != "":
        beside = f"; {others} runs instead" if others else ""
        yield DriftKind.NO_CONTAINER, f"there is no container {state.container}{beside}", others
    elif others:
        yield DriftKind.SEVERAL, f"beside {state.container} there runs {others}", others


def _up(_: HostRecord, state: HostState) -> _Found:
    if state.container_id and state.state != "running":
        yield DriftKind.NOT_UP, f"container {state.container} is {state.state}, not running", state.state


def _image(record: HostRecord, state: HostState) -> _Found:
    """A container's image never changes: only another container can run another one."""
    if _is_same(record, state) or not state.container_id or not record.digest or record.digest in state.digests:
        return
    runs = f"{_version(state.version)} {state.digest or 'of no known digest'}"
    wanted = f"{_version(record.version)} {record.digest}"
    yield DriftKind.OTHER_DIGEST, f"runs {runs}, recorded is {wanted}", state.digest or state.container_id[:12]


def _maker(record: HostRecord, state: HostState) -> _Found:
    if _is_same(record, state) or not state.container_id:
        return
    short = state.container_id[:12]
    if not state.release:
        yield DriftKind.FOREIGN, f"container {short} was made by somebody else: it has no label of a release", short
    elif record.container_id is not None:
        left = record.container_id[:12] or "none"
        yield DriftKind.REPLACED, f"container {short} of run {state.release}, recorded is {left}", short


def _starts(record: HostRecord, state: HostState) -> _Found:
    if not _is_same(record, state):
        return
    mark = f"{state.restarts}@{state.started_at}"
    if state.restarts > record.restarts:
        what = f"restarted {state.restarts} times, recorded is {record.restarts}; since {state.started_at}"
        yield DriftKind.RESTARTED, what, mark
    elif state.state == "running" and state.started_at != record.started_at:
        what = f"started again at {state.started_at}, by hand or with its host; recorded is {record.started_at}"
        yield DriftKind.RESTARTED, what, mark


def _environment(_: HostRecord, state: HostState) -> _Found:
    if not state.container_id:
        return
    if state.env_file is EnvFile.DIFFERS:
        many = "1 variable" if state.variables == 1 else f"{state.variables} variables"
        what = f"the env file says otherwise than the container was made with ({many}): the next release takes it"
        yield DriftKind.ENV_FILE, what, f"{state.variables}"
    elif state.env_file is EnvFile.UNREADABLE:
        what = f"the env file can't be used, the next release would fail: {state.env_trouble}"
        yield DriftKind.ENV_FILE, what, EnvFile.UNREADABLE


def _is_same(record: HostRecord, state: HostState) -> bool:
    return bool(state.container_id) and record.container_id == state.container_id


def _version(version: str) -> str:
    return tag_of(version) if version else "no known version"

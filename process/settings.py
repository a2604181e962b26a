"""The settings of both programs: `RUNBOOK_*` variables, all checked at start, every fault named at once."""

import difflib
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self, TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from runbook import names
from runbook.identifier import Person

A = TypeVar("A")
B = TypeVar("B")

_PREFIX = "RUNBOOK_"
_ALMOST = 0.9
_TAGGER = re.compile(r"([^<>\x00-\x1f]*[^<>\s])\s*<([^<>\s]+@[^<>\s]+)>")
_LEDGERS = ("sqlite", "postgresql")


class BadSettings(Exception):
    """What is wrong with the settings: one line a fault, each with the variable's name."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class Tagger(NamedTuple):
    """Who the release tags are signed as, as git writes it."""

    name: str
    email: str


def _readable_folder(path: Path) -> Path:
    path = path.expanduser().absolute()
    if not path.is_dir():
        raise ValueError(f"{path} is not a folder: create it, or name the folder of the projects' files")
    if not os.access(path, os.R_OK | os.X_OK):
        raise ValueError(f"{path} can't be read by this user")
    return path


def _folder(path: Path) -> Path:
    return path.expanduser().absolute()


def _own_folder(path: Path) -> Path:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        raise ValueError(f"{path} can't be written ({error.strerror}): name a folder that this user owns") from None


def _tagger(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    written = _TAGGER.fullmatch(text.strip())
    if not written:
        raise ValueError("write it like Release Runbook <releases@example.net>")
    return Tagger(written[1].strip(), written[2])


def _ledger(url: SecretStr) -> SecretStr:
    scheme, given, _ = url.get_secret_value().partition("://")
    if not given or scheme.partition("+")[0] not in _LEDGERS:
        raise ValueError(
            "no database that can keep the ledger: write sqlite:////path/ledger.db or postgresql+psycopg://…"
        )
    return url


def _upper(text: Any) -> Any:
    return text.upper() if isinstance(text, str) else text


def _of_deployment(value: str | None, info: ValidationInfo) -> str | None:
    if value is not None and not info.data.get("deployment", value):
        raise ValueError("means nothing without RUNBOOK_DEPLOYMENT, the name that all builds of this worker share")
    return value


def _build(value: str | None, info: ValidationInfo) -> str | None:
    if value is None and info.data.get("deployment"):
        raise ValueError("is missing: with RUNBOOK_DEPLOYMENT, say which build this is, like 1.4.0 or a commit")
    return _of_deployment(value, info)


def _bind_address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError("write it like 127.0.0.1:9464")
    return text


class _Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True)

    task_queue: str = Field(default=names.TASK_QUEUE, min_length=1, max_length=200)

    @classmethod
    def read(cls) -> Self:
        """Raises BadSettings with every fault of these variables."""
        faults = list(_misspelt(set(cls.model_fields)))
        try:
            settings = cls()
        except ValidationError as error:
            faults += [_fault(found["loc"], found["msg"]) for found in error.errors(include_url=False)]
            raise BadSettings(faults) from None
        if faults:
            raise BadSettings(faults)
        return settings


class StarterSettings(_Settings):
    """`user` is who decisions and orders are made by; the login's name when left out."""

    user: Person | None = None


class LedgerSettings(_Settings):
    """Where the ledger is, for whoever only reads it: the folder is not made."""

    state: Annotated[Path, AfterValidator(_folder)] = Field(
        default=Path("~/.local/state/release-runbook"), validate_default=True
    )
    ledger: Annotated[SecretStr, AfterValidator(_ledger)] | None = None

    @property
    def ledger_url(self) -> SecretStr:
        return self.ledger or SecretStr(f"sqlite:///{self.state / 'ledger.db'}")


class WorkerSettings(LedgerSettings):
    """`grace` is how many seconds work under way may take to finish when the worker is asked to stop.

    With `deployment` and `build_id`, `versioning` says whether a release stays with the build that it began with
    (`pinned`, the default) or goes on with the current one.
    """

    projects: Annotated[Path, AfterValidator(_readable_folder)] = Field(
        default=Path("deploy/projects"), validate_default=True
    )
    state: Annotated[Path, AfterValidator(_folder), AfterValidator(_own_folder)] = Field(
        default=LedgerSettings.model_fields["state"].default, validate_default=True
    )
    log_format: Literal["console", "json"] = "json"
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)] = "INFO"
    grace: float = Field(default=25, ge=0, le=3600)
    tagger: Annotated[Tagger, NoDecode, BeforeValidator(_tagger)] = Tagger(
        "Release Runbook", "release-runbook@localhost"
    )
    max_activities: int = Field(default=20, ge=2, le=200)
    metrics: Annotated[str, AfterValidator(_bind_address)] | None = None
    deployment: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")] | None = None
    build_id: Annotated[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.+-]{1,200}$")] | None, AfterValidator(_build)] = (
        Field(default=None, validate_default=True)
    )
    versioning: Annotated[Literal["pinned", "auto_upgrade"] | None, AfterValidator(_of_deployment)] = None

    @property
    def patience(self) -> timedelta:
        return timedelta(seconds=self.grace)

    def secrets(self) -> dict[str, SecretStr]:
        """What must never be printed, by the variable it comes from."""
        password = urlsplit(self.ledger_url.get_secret_value()).password
        return {"RUNBOOK_LEDGER": SecretStr(unquote(password))} if password else {}


def together(first: Callable[[], A], second: Callable[[], B]) -> tuple[A, B]:
    """Both readings, or BadSettings with the faults of both."""
    try:
        one = first()
    except BadSettings as bad:
        try:
            second()
        except BadSettings as worse:
            raise BadSettings([*bad.faults, *worse.faults]) from None
        raise
    return one, second()


def _fault(where: tuple[int | str, ...], message: str) -> str:
    text = message.removeprefix("Value error, ")
    return f"{_PREFIX}{str(where[0]).upper() if where else '*'}: {text[:1].lower()}{text[1:]}"


def _misspelt(fields: set[str]) -> Iterator[str]:
    """Variables that are almost one of ours: the default would silently apply instead."""
    known = {_PREFIX + field.upper() for field in fields}
    everywhere = {_PREFIX + field.upper() for field in {*StarterSettings.model_fields, *WorkerSettings.model_fields}}
    for variable in sorted(os.environ):
        if variable.startswith(_PREFIX) and variable not in everywhere:
            for meant in difflib.get_close_matches(variable, known, n=1, cutoff=_ALMOST):
                yield f"{variable}: there is no such setting; did you mean {meant}?"

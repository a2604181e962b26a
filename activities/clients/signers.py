"""An OpenSSH allowed_signers file: which keys speak for whom, for what, and from when until when."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from asyncssh import KeyImportError, SSHKey, import_public_key
from sshsig.allowed_signers import AllowedSigner

from activities.errors import Refused

_LARGEST = 1024 * 1024
_WHEN = re.compile(r"(\d{8})(\d{4})?(\d{2})?(Z?)")


@dataclass(frozen=True)
class Signer:
    """One line: the key, and whom, what and when it is good for. `key` None: of a kind that is not verified here."""

    line: int
    principals: str
    namespaces: str
    valid_after: datetime | None
    valid_before: datetime | None
    key: SSHKey | None

    @classmethod
    def parse(cls, number: int, text: str) -> Self:
        """Raises ValueError."""
        entry = AllowedSigner.parse(text)
        options = entry.options or {}
        return cls(
            line=number,
            principals=entry.principals,
            namespaces=options.get("namespaces", "*"),
            valid_after=_moment(options.get("valid-after")),
            valid_before=_moment(options.get("valid-before")),
            key=None if "cert-authority" in options else _key(f"{entry.key_type} {entry.base64_key}"),
        )

    def objection(self, principal: str, namespace: str, at: datetime) -> str:
        """Why this line's key is not good for that; empty when it is."""
        if not _matches(principal, self.principals):
            return f"the key is not {principal}'s"
        if not _matches(namespace, self.namespaces):
            return f"the key may not sign for {namespace}, only for {self.namespaces}"
        if self.valid_after is not None and at < self.valid_after:
            return f"the key is valid only from {self.valid_after:%Y-%m-%d %H:%M:%S} UTC"
        if self.valid_before is not None and at >= self.valid_before:
            return f"the key was valid until {self.valid_before:%Y-%m-%d %H:%M:%S} UTC"
        return ""


class AllowedSigners:
    """All lines of one file."""

    def __init__(self, signers: Sequence[Signer]) -> None:
        self.signers = signers

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read anew each time, so that a key taken out counts at once.

        Raises:
            Refused: the file can't be read, or a line of it: nothing is verified by half a list.
        """
        try:
            with path.open("rb") as file:
                content = file.read(_LARGEST + 1)
            text = content.decode("ascii")
        except OSError as error:
            raise Refused(
                f"allowed_signers {path} can't be read by the worker ({error.strerror}): put it there"
            ) from None
        except UnicodeDecodeError:
            raise Refused(f"allowed_signers {path} is not ASCII: write it as `man ssh-keygen` says") from None
        if len(content) > _LARGEST:
            raise Refused(f"allowed_signers {path} is larger than 1 MiB: that is no list of keys")
        return cls([_parsed(path, number, line) for number, line in _entries(text)])

    def objection(self, key: SSHKey, principal: str, namespace: str, at: datetime) -> str:
        """Why this key does not speak for the principal then; empty when some line says that it does."""
        found = [signer.objection(principal, namespace, at) for signer in self.signers if signer.key == key]
        if not found:
            return "the key is not in allowed_signers"
        return "" if "" in found else found[-1]

    def knows(self, principal: str, namespace: str) -> bool:
        """Whether any key could ever speak for the principal."""
        return any(
            signer.key is not None and _matches(principal, signer.principals) and _matches(namespace, signer.namespaces)
            for signer in self.signers
        )


def _entries(text: str) -> list[tuple[int, str]]:
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    return [(number, line) for number, line in lines if line and not line.startswith("#")]


def _parsed(path: Path, number: int, line: str) -> Signer:
    try:
        return Signer.parse(number, line)
    except ValueError as error:
        raise Refused(
            f"allowed_signers {path}, line {number}: {str(error)[:200]}; write it as `man ssh-keygen` says"
        ) from None


def _key(text: str) -> SSHKey | None:
    try:
        return import_public_key(text)
    except KeyImportError as error:
        raise ValueError(f"not a public key: {error}") from None


def _moment(written: str | None) -> datetime | None:
    """`YYYYMMDD[HHMM[SS]][Z]`; without Z by the worker's own clock, as OpenSSH reads it."""
    if written is None:
        return None
    found = _WHEN.fullmatch(written)
    if found is None:
        raise ValueError(f"{written!r} is not a time: write it like 20261231 or 202612312359Z")
    day, minutes, seconds, utc = found.groups()
    moment = datetime.strptime(day + (minutes or "0000") + (seconds or "00"), "%Y%m%d%H%M%S")  # noqa: DTZ007 - below
    return moment.replace(tzinfo=UTC) if utc else moment.astimezone().astimezone(UTC)


def _matches(text: str, patterns: str) -> bool:
    """OpenSSH's pattern list: `*` and `?`, and a `!pattern` that matches is a no whatever else matches."""
    found = False
    for pattern in patterns.split(","):
        wanted = pattern.removeprefix("!")
        if re.fullmatch(_expression(wanted), text):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def _expression(pattern: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in pattern)

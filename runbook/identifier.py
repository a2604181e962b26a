"""The words that reach a command, an address or a name: each has a form, checked at the door."""

import re
from typing import Annotated
from urllib.parse import urlsplit

import semver
from pydantic import AfterValidator, StringConstraints

_COMMIT = re.compile(r"[0-9a-f]{40}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LATEST = re.compile(r":latest(?![\w.-])")


def version_of(text: str) -> str:
    """The semantic version itself, without `v`; ValueError says what is wrong with anything else."""
    if not semver.Version.is_valid(text):
        raise ValueError(f"version {text[:60]!r} is not a semantic version: write it like 1.4.0 or 1.4.0-rc.1")
    if "+" in text:
        raise ValueError(f"version {text[:60]!r} has build metadata, which no image tag can carry: leave out the +…")
    if len(text) > 100:
        raise ValueError("a version has at most 100 characters")
    return text


def tag_of(version: str) -> str:
    return f"v{version}"


def commit_of(text: str) -> str:
    if not _COMMIT.fullmatch(text):
        raise ValueError(f"commit {text[:60]!r} is not a full commit id: give all 40 hexadecimal digits")
    return text


def digest_of(text: str) -> str:
    if not _DIGEST.fullmatch(text):
        raise ValueError(f"digest {text[:80]!r} is not sha256: and 64 hexadecimal digits")
    return text


def without_latest(text: str) -> str:
    if _LATEST.search(text):
        raise ValueError(
            f"{text[:80]!r} names :latest, which is never deployed: leave the tag out, the release pins it"
        )
    return text


def address_of(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{text[:80]!r} is not an http(s) address")
    if parts.username or parts.password:
        raise ValueError("an address carries no user or password: use the credentials keys")
    return text


def _secret_reference(text: str) -> str:
    kind, _, name = text.partition(":")
    if kind not in {"env", "file"} or not name:
        raise ValueError("a secret is never written here: say env:NAME or file:/path, which the worker reads")
    return text


def _words(words: list[str]) -> list[str]:
    if not words or not words[0]:
        raise ValueError("a command is a list of words, the program first")
    return [without_latest(word) for word in words]


def _matching(pattern: str, what: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"{text[:60]!r} is not {what}")
        return text

    return AfterValidator(check)


ProjectName = Annotated[
    str,
    _matching(
        r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", "a project name: lower-case letters, digits and dashes, at most 63"
    ),
]
Version = Annotated[str, AfterValidator(version_of)]
Commit = Annotated[str, AfterValidator(commit_of)]
Digest = Annotated[str, AfterValidator(digest_of)]
Person = Annotated[
    str,
    _matching(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}", "a person's name: letters, digits and . _ @ + -, at most 100"),
]
HostAddress = Annotated[
    str,
    _matching(r"[A-Za-z0-9](?:[A-Za-z0-9.:-]{0,252})", "a host name or address"),
]
ImageName = Annotated[
    str,
    _matching(
        r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*",
        "an image name without registry, tag or digest, like acme/shop",
    ),
]
Registry = Annotated[
    str,
    _matching(r"[A-Za-z0-9.-]+(?::[0-9]{1,5})?", "a registry address, like registry.example.net:5000"),
]
GitRef = Annotated[
    str,
    _matching(r"(?!-)(?!.*\.\.)[A-Za-z0-9._/-]{1,200}", "a branch or ref name"),
]
RepoPath = Annotated[
    str,
    _matching(r"(?!/)(?!.*(?:^|/)\.\.(?:/|$))[\w@+ ./-]{1,300}", "a path inside the repository"),
]
HostPath = Annotated[str, _matching(r"/[\w@+./-]{1,300}", "an absolute path")]
Slug = Annotated[str, _matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", "a name as the forge spells it")]
ZoneName = Annotated[
    str, _matching(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}", "a time zone's name, like Europe/Berlin or UTC")
]
Line = Annotated[str, StringConstraints(max_length=300, pattern=r"^[^\r\n]*$")]
Address = Annotated[str, AfterValidator(address_of), AfterValidator(without_latest)]
Command = Annotated[list[str], AfterValidator(_words)]
SecretReference = Annotated[str, AfterValidator(_secret_reference)]

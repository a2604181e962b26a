"""The words that reach a command, an address or a name: what has another form is refused at the door."""

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from runbook import identifier as words

COMMIT = "c0ffee" + "0" * 34
DIGEST = "sha256:" + "ab" * 32

GOOD: list[tuple[Any, list[str]]] = [
    (words.ProjectName, ["shop", "a", "shop-2", "0", "a" * 63]),
    (words.Version, ["1.4.0", "0.0.1", "1.4.0-rc.1", "10.20.30-alpha.1.x-y"]),
    (words.Commit, [COMMIT]),
    (words.Digest, [DIGEST]),
    (words.Person, ["alice", "alice@example.net", "a.b_c+d-e", "A", "a" * 100]),
    (words.HostAddress, ["production-1", "10.0.0.1", "db.example.net", "fe80::1"]),
    (words.ImageName, ["shop", "acme/shop", "acme/shop_2/x", "a-b.c__d"]),
    (words.Registry, ["registry.example.net", "registry.example.net:5000", "localhost:1"]),
    (words.GitRef, ["main", "release/1.x", "v1.4.0"]),
    (words.RepoPath, ["package.json", "a/b/CHANGELOG.md", "src/version file.py", "..a/b"]),
    (words.HostPath, ["/etc/opt/shop/production.env", "/x"]),
    (words.Slug, ["release.yml", "Acme", "a_b-c"]),
    (words.Address, ["https://git.example.net", "http://127.0.0.1:3000/shop?x=1"]),
    (words.SecretReference, ["env:TOKEN", "file:/run/secrets/token"]),
]
BAD: list[tuple[Any, list[str]]] = [
    (words.ProjectName, ["", "Shop", "-shop", "shop-", "a" * 64, "a b", "../a", "a/b", "a\n", "ä", "a_b"]),
    (words.Version, ["", "1.4", "v1.4.0", "latest", "1.4.0+build", "01.4.0", "1.4.0\n", "1.4.0 ", "1.4.0-" + "a" * 99]),
    (words.Commit, ["", "HEAD", COMMIT[:-1], COMMIT + "0", COMMIT.upper(), COMMIT + "\n", "g" * 40]),
    (words.Digest, ["", "ab" * 32, DIGEST[:-1], DIGEST.upper(), "sha512:" + "ab" * 32, DIGEST + "\n"]),
    (words.Person, ["", "alice bob", "-alice", "a" * 101, "alice\n", "a;b", "$(id)", "alice'"]),
    (words.HostAddress, ["", "-oProxyCommand=x", "a b", "a;b", "a\n", "a/b", "user@host", "$HOST"]),
    (words.ImageName, ["", "Acme/shop", "acme/shop:1", "acme/shop@sha256:a", "/shop", "shop/", "a//b", "shop:latest"]),
    (words.Registry, ["", "https://registry", "registry/acme", "user@registry", "registry:port", "registry:123456"]),
    (words.GitRef, ["", "-x", "a..b", "a b", "a:b", "a\n", "refs/heads/~1", "a" * 201]),
    (words.RepoPath, ["", "/etc/passwd", "../x", "a/../../x", "a/..", "a\nb", "a:b"]),
    (words.HostPath, ["", "etc/opt", "/a b", "/a;b", "/a\n", "~/x"]),
    (words.Slug, ["", ".hidden", "-x", "a/b", "a b", "a" * 101]),
    (
        words.Address,
        ["", "git.example.net", "ftp://x", "https://", "https://robot@x", "https://:s3cret@x", "https://x/y:latest"],
    ),
    (words.SecretReference, ["", "s3cret", "env:", "file:", "ENV:TOKEN"]),
]


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in GOOD for text in texts])
def test_a_word_of_the_right_form_is_taken_as_it_is(kind: Any, text: str) -> None:
    assert TypeAdapter(kind).validate_python(text) == text


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in BAD for text in texts])
def test_a_word_of_another_form_is_refused(kind: Any, text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(text)


NO_SHELL = [words.ProjectName, words.Version, words.Commit, words.Digest, words.Person, words.HostAddress, words.Slug]


@given(st.sampled_from(NO_SHELL), st.text(st.sampled_from(string.printable + "é\u202e\x00"), max_size=20))
def test_what_is_taken_has_nothing_that_a_shell_or_a_line_would_read_as_more(kind: Any, text: str) -> None:
    try:
        taken = TypeAdapter(kind).validate_python(text)
    except ValidationError:
        return
    assert not set(taken) & set(" \t\r\n\x00;&|<>()$`\\\"'*?[]{}~!#%^,=")
    assert not taken.startswith("-")


@pytest.mark.parametrize(
    "text", ["shop:latest", "registry:5000/acme/shop:latest", "x:latest@sha256:ab", "--image=shop:latest", "a:latest,b"]
)
def test_latest_is_refused_wherever_it_ends_a_name(text: str) -> None:
    with pytest.raises(ValueError, match=":latest, which is never deployed"):
        words.without_latest(text)


@pytest.mark.parametrize(
    "text", ["shop", "latest", "shop:latest-1", "shop:latest.2", "http://x/latest", "shop:latests"]
)
def test_a_name_that_only_begins_like_latest_is_taken(text: str) -> None:
    assert words.without_latest(text) == text


def test_a_line_is_one_line_of_at_most_300_characters() -> None:
    line = TypeAdapter(words.Line)
    assert line.validate_python("a" * 300)
    for wrong in ("a" * 301, "a\nb", "a\rb"):
        with pytest.raises(ValidationError):
            line.validate_python(wrong)


def test_the_message_says_what_was_wanted_and_what_was_found() -> None:
    with pytest.raises(ValidationError, match=r"version 'v1\.4\.0' is not a semantic version: write it like 1\.4\.0"):
        TypeAdapter(words.Version).validate_python("v1.4.0")
    with pytest.raises(ValidationError, match="give all 40 hexadecimal digits"):
        TypeAdapter(words.Commit).validate_python("c0ffee")

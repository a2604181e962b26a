"""Redaction: no known secret leaves in a log line, in whatever form it travels."""

import asyncio
import io
import json
import logging
from collections.abc import Generator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import structlog
from pydantic import SecretStr

from process import logs
from process.redaction import Redaction, keep_learning
from process.references import known_secrets

TOKEN = "s3cr3t/t0ken+value"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\nQyNTUxOQAAACB8h3lIkeyline\n-----END OPENSSH PRIVATE KEY-----"


@pytest.fixture
def redaction() -> Redaction:
    redaction = Redaction()
    redaction.learn({"env:FORGE_TOKEN": SecretStr(TOKEN), "file:/key": SecretStr(KEY)})
    return redaction


@pytest.fixture
def stream() -> Generator[io.StringIO]:
    """The configuration of logs is the process's: put back what pytest had."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield io.StringIO()
    logging.captureWarnings(capture=False)
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "text",
    [
        f"token is {TOKEN}",
        f"GET https://git.example.net/?token={quote(TOKEN, safe='')}",
        f"in the middle:{TOKEN}:of it",
        "QyNTUxOQAAACB8h3lIkeyline",
        f"repr {KEY!r}",
    ],
)
def test_a_known_secret_is_replaced_by_its_name(redaction: Redaction, text: str) -> None:
    clean = redaction.clean(text)
    assert TOKEN not in clean
    assert quote(TOKEN, safe="") not in clean
    assert "keyline" not in clean
    assert "[env:FORGE_TOKEN]" in clean or "[file:/key]" in clean


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer abcdefgh12345678", "abcdefgh12345678"),
        ("Authorization: token 0123456789abcdef", "0123456789abcdef"),
        ("basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA=="),
        ("cloning https://bob:hunter2@git.example.net/shop.git", "hunter2"),
    ],
)
def test_forms_that_carry_secrets_are_cut_even_if_nobody_knows_the_value(text: str, secret: str) -> None:
    assert secret not in Redaction().clean(text)


def test_parts_of_an_address_that_carries_a_token_are_secrets_and_its_host_is_not() -> None:
    redaction = Redaction()
    redaction.learn({"env:ON_CALL": SecretStr("slack://T1JJ3T3L2AB/A1BRTD4JDQRS/TIiajkdnlazkcOXr@chat.example.net")})
    clean = redaction.clean("posted to chat.example.net with T1JJ3T3L2AB and A1BRTD4JDQRS")
    assert "A1BRTD4JDQRS" not in clean
    assert "chat.example.net" in clean


@pytest.mark.parametrize("text", ["swapped shop on production-1: v1.4.0@sha256:" + "a" * 64, "basic authentication"])
def test_ordinary_text_stays_as_it_is(redaction: Redaction, text: str) -> None:
    assert redaction.clean(text) == text


@pytest.mark.parametrize("form", ["json", "console"])
def test_nothing_secret_is_written_whoever_logs_it(redaction: Redaction, stream: io.StringIO, form: Any) -> None:
    logs.configure(form, "INFO", redaction, stream)
    structlog.stdlib.get_logger().warning("event", typed=SecretStr("typed-secret"), nested={"list": [TOKEN, (TOKEN,)]})
    logging.getLogger("some.library").warning("with args %s", TOKEN)
    try:
        raise ValueError(f"raised {TOKEN}")
    except ValueError:
        structlog.stdlib.get_logger().exception("failed")
    written = stream.getvalue()
    assert TOKEN not in written
    assert "typed-secret" not in written
    assert written.count("[env:FORGE_TOKEN]") >= 4
    assert "Traceback" in written


def test_a_json_log_is_one_object_a_line_with_temporals_context_as_fields(
    redaction: Redaction, stream: io.StringIO
) -> None:
    logs.configure("json", "INFO", redaction, stream)
    extra = {"temporal_activity": {"workflow_id": "release-shop", "activity_type": "tag", "attempt": 2}}
    logging.getLogger("temporalio.activity").warning("hello\nthere", extra=extra)
    (line,) = stream.getvalue().splitlines()
    written = json.loads(line)
    assert written["message"] == "hello\nthere"
    assert (written["workflow"], written["step"], written["attempt"]) == ("release-shop", "tag", 2)
    assert "temporal_activity" not in written


def test_libraries_that_tell_every_request_are_quiet(redaction: Redaction, stream: io.StringIO) -> None:
    logs.configure("json", "INFO", redaction, stream)
    logging.getLogger("httpx").info("HTTP Request: GET https://git.example.net")
    logging.getLogger("ours").info("said")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["said"]


def test_the_secrets_of_all_projects_are_found_by_reference_and_a_broken_file_hides_none(tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text('[forge]\ntoken = "env:A"\n[[list]]\nkeys = ["env:B", "file:/c", "plain"]\n')
    (tmp_path / "broken.toml").write_text("[forge")
    read = {"env:A": SecretStr("value-a"), "env:B": SecretStr("value-b")}.__getitem__
    assert set(known_secrets(tmp_path, read)) == {"env:A", "env:B"}


async def test_a_rotated_secret_becomes_known(redaction: Redaction) -> None:
    values = iter(["first-value", "second-value"])
    learning = asyncio.create_task(
        keep_learning(redaction, lambda: {"env:A": SecretStr(next(values, "third-value"))}, every=0.01)
    )
    async with asyncio.timeout(5):
        while "third-value" in redaction.clean("third-value"):
            await asyncio.sleep(0.01)
    learning.cancel()
    assert redaction.clean("first-value second-value") == "[env:A] [env:A]"

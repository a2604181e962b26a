import logging
import os
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from activities.clients.notifier import Notifier
from activities.errors import Refused, Unreachable
from deploy.ports import free_port
from runbook.trouble import Cause
from tests.activities.hook import TOKEN, Hook, hook


@pytest.fixture
async def pager() -> AsyncGenerator[Hook]:
    async with hook() as running:
        yield running


async def test_a_notice_reaches_the_address_behind_a_file(pager: Hook, tmp_path: Path) -> None:
    secret = tmp_path / "on-call"
    secret.write_text(pager.address + "\n")
    await Notifier().send(f"file:{secret}", "shop 1.4.0: gate", "Please <approve> & see *this*")
    [taken] = pager.taken
    assert (taken["title"], taken["message"]) == ("shop 1.4.0: gate", "Please <approve> & see *this*")


async def test_a_notice_reaches_the_address_behind_a_variable(pager: Hook) -> None:
    os.environ["SHOP_TEST_ON_CALL"] = pager.address
    try:
        await Notifier().send("env:SHOP_TEST_ON_CALL", "title", "body")
    finally:
        del os.environ["SHOP_TEST_ON_CALL"]
    assert len(pager.taken) == 1


@pytest.mark.parametrize("away", [False, True])
async def test_a_service_that_does_not_take_it_is_unreachable_and_stays_secret(
    pager: Hook,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    *,
    away: bool,
) -> None:
    caplog.set_level(logging.DEBUG)
    pager.status = 500
    pager.port = free_port() if away else pager.port
    secret = tmp_path / "on-call"
    secret.write_text(pager.address)
    with pytest.raises(Unreachable, match="did not take the notice 'title'") as caught:
        await Notifier().send(f"file:{secret}", "title", "body")
    assert str(secret) in str(caught.value)
    assert TOKEN not in f"{caught.value!r} {caplog.text} {capfd.readouterr()}"


@pytest.mark.parametrize("address", [f"nosuch://{TOKEN}@host", TOKEN, f"slack://{TOKEN}"])
async def test_what_is_no_address_is_refused_and_stays_secret(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], address: str
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = tmp_path / "on-call"
    secret.write_text(address)
    with pytest.raises(Refused, match="is not one apprise address") as caught:
        await Notifier().send(f"file:{secret}", "title", "body")
    assert caught.value.cause is Cause.CREDENTIALS
    assert TOKEN not in f"{caught.value!r} {caplog.text} {capfd.readouterr()}"


@pytest.mark.parametrize("between", [", ", "\n", ";"])
async def test_a_secret_with_several_addresses_is_refused_before_any_is_told(
    pager: Hook, tmp_path: Path, between: str
) -> None:
    """Where one of them fails, the others would be told again and again: nobody knows which of them took it."""
    secret = tmp_path / "on-call"
    secret.write_text(f"{pager.address}{between}{pager.address}/second")
    with pytest.raises(Refused, match=f"secret file:{secret} has 2 apprise addresses.*a secret of its own") as caught:
        await Notifier().send(f"file:{secret}", "title", "body")
    assert caught.value.cause is Cause.CREDENTIALS
    assert TOKEN not in str(caught.value)
    assert pager.taken == []


@pytest.mark.parametrize(
    "rest",
    [
        "/?to=ann@example.net,bob@example.net",
        "/?to=ann@example.net, bob@example.net",
        "/ann@example.net/bob@example.net/?",
    ],
)
async def test_one_address_of_several_recipients_is_one_address(tmp_path: Path, rest: str) -> None:
    secret = tmp_path / "on-call"
    secret.write_text(f"mailto://alice:{TOKEN}@127.0.0.1:{free_port()}{rest}&from=alice@example.net")
    with pytest.raises(Unreachable, match="did not take the notice"):
        await Notifier().send(f"file:{secret}", "title", "body")


async def test_a_missing_secret_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=f"secret file:{tmp_path}/none can't be read"):
        await Notifier().send(f"file:{tmp_path}/none", "title", "body")

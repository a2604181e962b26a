"""Sends a notice to one apprise address, and lets nothing of the address be seen: it carries tokens."""

import functools
import logging
import warnings
from typing import Any

import apprise
from pydantic import SecretStr

from activities.errors import Refused, Unreachable
from activities.heartbeat import in_thread
from activities.secret import read_secret
from runbook.trouble import Cause

_TALKATIVE = "apprise"
"""The library's logger: at its lower levels it writes whole addresses."""


class Notifier:
    """Speaks to whatever apprise knows: mail, chats, pagers, webhooks."""

    def __init__(self) -> None:
        logging.getLogger(_TALKATIVE).setLevel(logging.CRITICAL)
        _load()
        # Below a warning the HTTP library writes the path of every request, which in a webhook is the token.
        logging.getLogger("urllib3").setLevel(logging.WARNING)

    async def send(self, reference: str, title: str, body: str) -> None:
        """Send to the address behind the secret reference.

        Raises:
            Refused: the secret is missing, or is not one address that apprise knows.
            Unreachable: the service did not take it.
        """
        address = read_secret(reference)
        if not await in_thread(_sent, address, reference, title, body):
            raise Unreachable(
                f"{reference} did not take the notice {title[:80]!r}: is the address right and its service up?"
            )


@functools.cache
def _load() -> None:
    """Let the library find its services now, which it does once and with warnings that are its own affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        target: Any = apprise.Apprise()
        target.add("json://localhost")


def _sent(address: SecretStr, reference: str, title: str, body: str) -> bool:
    target: Any = apprise.Apprise()
    if not target.add(address.get_secret_value()):
        raise Refused(
            f"secret {reference} is not one apprise address: write it like mailtos://… or slack://…, "
            "see the apprise page of the service",
            cause=Cause.CREDENTIALS,
        )
    if len(target) > 1:
        # When one of them fails, all that is known is that not all took it: the others would be told at each try.
        raise Refused(
            f"secret {reference} has {len(target)} apprise addresses: put one in it, and give each other one a secret of "
            "its own in the project's file under notify",
            cause=Cause.CREDENTIALS,
        )
    return bool(target.notify(title=title, body=body, body_format=apprise.NotifyFormat.TEXT))

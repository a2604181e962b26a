"""Secrets, read by the worker at the moment of use and never printed."""

import os
from pathlib import Path

from pydantic import SecretStr

from activities.errors import Refused
from runbook.trouble import Cause


def read_secret(reference: str) -> SecretStr:
    """The secret behind `env:NAME` or `file:PATH`, without surrounding blanks.

    Raises:
        Refused: it is not there or empty; the message names the reference, never the value.
    """
    kind, _, name = reference.partition(":")
    if kind == "env":
        value = os.environ.get(name, "")
    else:
        try:
            value = Path(name).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Refused(
                f"secret {reference} can't be read on the worker ({type(error).__name__}): make the file readable for it",
                cause=Cause.CREDENTIALS,
            ) from None
    if not value.strip():
        raise Refused(
            f"secret {reference} is missing or empty on the worker: set it and restart the worker",
            cause=Cause.CREDENTIALS,
        )
    return SecretStr(value.strip())

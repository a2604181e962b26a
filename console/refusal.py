"""How a command says no: one line and an exit status."""

from typing import Any, NoReturn

from pydantic import TypeAdapter, ValidationError

from console.exit_status import ExitStatus


class Refusal(Exception):
    """The message is the one line the operator reads."""

    def __init__(self, message: str, status: ExitStatus = ExitStatus.REFUSED) -> None:
        super().__init__(message)
        self.status = status


def refuse(error: ValidationError) -> NoReturn:
    """Raise the faults of an order, each with its field, as one line."""
    faults = [
        f"{'.'.join(map(str, fault['loc']))}: {fault['msg'].removeprefix('Value error, ')}".removeprefix(": ")
        for fault in error.errors(include_url=False, include_input=False)
    ]
    raise Refusal("; ".join(faults)) from None


def stated(text: str, option: str) -> str:
    """The text, if there is any: what must be said must say something."""
    if not text.strip():
        raise Refusal(f"{option} is empty: say why, in some words that are kept with the decision")
    return text


def checked(kind: Any, value: str) -> str:
    """The value, if it has the form that `kind` (an identifier's type) asks for."""
    try:
        return str(TypeAdapter(kind).validate_python(value))
    except ValidationError as error:
        refuse(error)

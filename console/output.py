"""What goes where: the answer to standard output, as text or as JSON; remarks and refusals to standard error."""

import contextlib
import json
import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic_core import to_jsonable_python
from rich.console import Console, RenderableType

from console.exit_status import ExitStatus

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def _console(*, stderr: bool = False) -> Console:
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False)


class Unwritable(BaseException):
    """Standard output takes nothing more. No error of a command, which would be told on the same standard output."""

    def __init__(self, error: OSError) -> None:
        super().__init__(
            f"the output can't be written: {error.strerror or error}; what was started goes on, see `status`"
        )


@dataclass(frozen=True)
class Output:
    """`json` True: standard output carries only JSON, one document a line. Raises Unwritable when nothing takes it."""

    json: bool = False
    out: Console = field(default_factory=_console)
    err: Console = field(default_factory=lambda: _console(stderr=True))

    def say(self, text: str) -> None:
        """A line for people."""
        if not self.json:
            with _written():
                self.out.print(text, soft_wrap=True)

    def show(self, renderable: RenderableType) -> None:
        """A table or board for people; a line that is made not to wrap is whole."""
        if not self.json:
            with _written():
                self.out.print(renderable, crop=False)

    def data(self, value: Any) -> None:
        """The same for programs."""
        if self.json:
            escaped = not self.out.encoding.startswith("utf")
            with _written():
                self.out.file.write(json.dumps(to_jsonable_python(value), ensure_ascii=escaped) + "\n")
                self.out.file.flush()

    def remark(self, text: str) -> None:
        """What is worth knowing but no answer."""
        with contextlib.suppress(OSError):  # there is no other place to tell it
            self.err.print(text, soft_wrap=True)


@contextmanager
def _written() -> Generator[None]:
    try:
        yield
    except BrokenPipeError:
        raise SystemExit(int(ExitStatus.INTERRUPTED)) from None  # as rich says it: whoever read the output is gone
    except OSError as error:
        raise Unwritable(error) from None


def plain(value: Any) -> Any:
    """The value with every text free of terminal control characters: others wrote some of it."""
    if isinstance(value, str):
        return _CONTROLS.sub("?", value)
    if isinstance(value, dict):
        return {key: plain(held) for key, held in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list):
        return [plain(held) for held in cast("Sequence[Any]", value)]
    return value

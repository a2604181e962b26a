"""The container's environment, read as `docker run --env-file` reads it; its values stay in the worker's memory."""

from collections.abc import Iterable

from activities.errors import Refused

_BLANKS = " \t\n\v\f\r"


def parsed(content: bytes, where: str) -> list[str]:
    """`KEY=VALUE` lines, the value exactly as written; comments, empty lines and a KEY alone are left out.

    Docker takes a KEY alone from the environment of whoever runs it, and here that is nobody.

    Raises:
        Refused: a line that Docker would refuse; the message has its number, never its text.
    """
    lines: list[str] = []
    for number, raw in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        line = _decoded(raw.removesuffix(b"\r"), number, where).lstrip(_BLANKS)
        if not line or line.startswith("#"):
            continue
        key, equals, value = line.partition("=")
        if not key:
            raise Refused(f"{where} line {number} has no name before `=`: correct the env file")
        if any(blank in key for blank in _BLANKS):
            raise Refused(
                f"{where} line {number} has a blank in the name: correct the env file, KEY=VALUE without `export`"
            )
        if equals:
            lines.append(f"{key}={value}")
    return lines


def variables(lines: Iterable[str]) -> dict[str, str]:
    """What a container with these `KEY=VALUE` lines finds: the last of a name counts."""
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _decoded(raw: bytes, number: int, where: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Refused(f"{where} line {number} is not UTF-8: correct the env file") from None

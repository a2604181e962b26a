"""Whether the Python that a program was started with has what it needs: looked up before anything is imported."""

import sys
from importlib.util import find_spec


def require(program: str, *packages: str) -> None:
    """End with one line and status 2, as with wrong settings, where one of them is missing."""
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        sys.stderr.write(
            f"{program}: {sys.executable} has no package {', '.join(missing)}: "
            "run it with .venv/bin/python, or `make setup` first\n"
        )
        raise SystemExit(2)

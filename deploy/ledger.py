"""`python -m deploy.ledger` reads the ledger that the worker's settings name: verify its chain, show a project's rows."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from activities.clients.ledger import Ledger
from activities.clients.ledger_table import Row
from activities.errors import Unreachable
from process.settings import BadSettings, WorkerSettings


def main(words: Sequence[str] | None = None) -> int:
    asked = _arguments().parse_args(words)
    try:
        url = asked.ledger or WorkerSettings.read().ledger_url.get_secret_value()
        _there(url)
        return asyncio.run(_answer(Ledger(url), asked))
    except (BadSettings, Unreachable, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2


async def _answer(ledger: Ledger, asked: argparse.Namespace) -> int:
    try:
        if asked.command == "verify":
            return await _verify(ledger, asked.head)
        for row in await ledger.rows(asked.project, asked.release):
            print(_line(row))
        return 0
    finally:
        ledger.close()


async def _verify(ledger: Ledger, head: str | None) -> int:
    broken = await ledger.verify(head)
    print(f"broken: {broken.why}" if broken else f"whole; its head is {await ledger.head()}")
    return 1 if broken else 0


def _line(row: Row) -> str:
    where = f" on {row.place}" if row.place else ""
    said = f": {row.detail}" if row.detail else ""
    return f"{row.seq} {row.at} {row.version} {row.actor} {row.action}{where} {row.outcome}{said}".replace("\n", " ")


def _there(url: str) -> None:
    """A look must not make a ledger, which would belong to whoever looked."""
    address = sa.make_url(url)
    if address.get_backend_name() == "sqlite" and not Path(address.database or "").is_file():
        raise FileNotFoundError(
            f"there is no ledger at {address.database}: no step was performed yet, or it is elsewhere"
        )


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.ledger", description=__doc__)
    parser.add_argument("--ledger", metavar="URL", help="another ledger than the settings' own, without a password")
    commands = parser.add_subparsers(dest="command", required=True)
    verify = commands.add_parser("verify", help="find the first row that was changed, dropped or reordered")
    verify.add_argument("--head", help="a hash noted earlier, as the forge's releases carry it: finds a cut-off end")
    show = commands.add_parser("show", help="a project's rows, a line each")
    show.add_argument("project")
    show.add_argument("--release", metavar="RUN", help="only of this run")
    return parser


if __name__ == "__main__":
    sys.exit(main())

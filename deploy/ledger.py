"""`python -m deploy.ledger` reads the ledger that the worker's settings name: verify its chain, show a project's rows.

It changes and makes nothing. Exit status: 0 every row holds, or the rows were shown; 1 the chain is broken; 2 wrong words
or settings, or the ledger can't be read; 3 there is no row, so nothing was checked.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import exc

from activities.clients.ledger import Ledger
from activities.clients.ledger_reading import NoLedger, NoRows, address_of, undisturbed
from activities.clients.ledger_table import Row
from activities.errors import Unreachable
from process.settings import BadSettings, LedgerSettings

_WHOLE, _BROKEN, _UNREAD, _EMPTY = range(4)
_WITHOUT_ROWS = (
    "nothing was checked: no step was performed yet, or this was copied without the -wal file beside it, which holds what "
    "is new; copy it with sqlite3's .backup, as docs/operations.md says under Backup"
)


def main(words: Sequence[str] | None = None) -> int:
    asked = _arguments().parse_args(words)
    try:
        with undisturbed(address_of(asked.ledger or LedgerSettings.read().ledger_url.get_secret_value())) as address:
            return asyncio.run(_answer(_opened(address), asked))
    except NoRows as empty:
        print(f"{empty}: {_WITHOUT_ROWS}", file=sys.stderr)
        return _EMPTY
    except (BadSettings, Unreachable, NoLedger, OSError) as error:
        print(error, file=sys.stderr)
        return _UNREAD


def _opened(address: sa.URL) -> Ledger:
    try:
        return Ledger(address, writable=False)
    except (exc.ArgumentError, ImportError) as error:
        raise NoLedger(f"nothing here can open {address}: {error}; is its driver installed?") from None


async def _answer(ledger: Ledger, asked: argparse.Namespace) -> int:
    try:
        if asked.command == "verify":
            return await _verify(ledger, asked.head)
        for row in await ledger.rows(asked.project, asked.release):
            print(_line(row))
        return _WHOLE
    finally:
        ledger.close()


async def _verify(ledger: Ledger, head: str | None) -> int:
    chain = await ledger.chain(head)
    if chain.broken:
        print(f"broken: {chain.broken.why}")
        return _BROKEN
    if not chain.rows:
        raise NoRows("the ledger has no row")
    print(f"whole: {chain.rows} row{'s' if chain.rows > 1 else ''} checked; its head is {chain.head}")
    return _WHOLE


def _line(row: Row) -> str:
    where = f" on {row.place}" if row.place else ""
    said = f": {row.detail}" if row.detail else ""
    return f"{row.seq} {row.at} {row.version} {row.actor} {row.action}{where} {row.outcome}{said}".replace("\n", " ")


def _arguments() -> argparse.ArgumentParser:
    about, _, statuses = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(prog="python -m deploy.ledger", description=about, epilog=statuses)
    parser.add_argument(
        "--ledger",
        metavar="PATH|URL",
        help="another ledger than the settings' own: a file, or a URL without a password",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    verify = commands.add_parser("verify", help="find the first row that was changed, dropped or reordered")
    verify.add_argument("--head", help="a hash noted earlier, as the forge's releases carry it: finds a cut-off end")
    show = commands.add_parser("show", help="a project's rows, a line each")
    show.add_argument("project")
    show.add_argument("--release", metavar="RUN", help="only of this run")
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""What a container printed: kept a JSON line each, handed out in Docker's multiplexed frames."""

import asyncio
import json
import struct
from pathlib import Path

from deploy.sandbox.engine_store import now

STDOUT, STDERR = 1, 2


class ContainerLog:
    """`path` grows by one JSON line `[stream, time, text]` a line printed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def keep(self, stream: int, reader: asyncio.StreamReader) -> None:
        """Takes lines until the stream ends."""
        with self._path.open("a") as file:
            while line := await _line(reader):
                file.write(json.dumps([stream, now(), line.decode(errors="replace")]) + "\n")
                file.flush()

    def frames(self, *, streams: set[int], tail: int | None, timestamps: bool, start: int = 0) -> bytes:
        """The lines after the first `start`, or only the last `tail` of them, framed."""
        lines = self._lines()[start:]
        wanted = [line for line in lines if line[0] in streams]
        if tail is not None:
            wanted = wanted[len(wanted) - min(tail, len(wanted)) :]
        return b"".join(_frame(line[0], f"{line[1]} " * timestamps + line[2]) for line in wanted)

    def length(self) -> int:
        return len(self._lines())

    def _lines(self) -> list[tuple[int, str, str]]:
        if not self._path.exists():
            return []
        whole = self._path.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in whole if line.endswith("\n")]


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError:
        # A line longer than the reader's buffer: what is there is taken as one.
        return await reader.read(65536)


def _frame(stream: int, text: str) -> bytes:
    content = text.encode()
    return struct.pack(">BxxxL", stream, len(content)) + content

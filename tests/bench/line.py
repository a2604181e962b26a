"""A measurement: what took how long, and what took how long beside it."""

from typing import NamedTuple


class Line(NamedTuple):
    """Seconds. The ratio of the two travels to other machines, the seconds don't."""

    what: str
    took: float
    beside: str = ""
    beside_took: float | None = None

    @property
    def ratio(self) -> str:
        return f"{self.took / self.beside_took:.1f}" if self.beside_took else ""


def table(lines: list[Line]) -> list[str]:
    """As wide as its texts."""
    cells = [("measured", "took", "beside", "took", "ratio")]
    for line in lines:
        beside = "" if line.beside_took is None else spoken(line.beside_took)
        cells.append((line.what, spoken(line.took), line.beside, beside, line.ratio))
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    aligned = zip("<><>>", widths, strict=True)
    shape = "  ".join(f"{{:{side}{width}}}" for side, width in aligned)
    return [shape.format(*row).rstrip() for row in cells]


def spoken(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"

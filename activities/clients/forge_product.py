"""Which forge answers, and whether it is new enough to follow a release on it."""

import re
from dataclasses import dataclass

from activities.clients.forge_call import ForgeCall
from activities.clients.forge_json import row, text
from activities.errors import Refused

_OLDEST = {"Gitea": (1, 23), "Forgejo": (8, 0)}


@dataclass(frozen=True)
class Product:
    """`version` is (0, 0) for a build that states none."""

    name: str
    version: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.name} {self.version[0]}.{self.version[1]}"


def product_of(stated: str) -> Product:
    """Forgejo states its own version and, behind a plus, the Gitea it once was: only the first counts."""
    own, forgejo, _ = stated.partition("+gitea-")
    numbers = re.match(r"v?(\d+)\.(\d+)", own)
    version = (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)
    return Product("Forgejo" if forgejo else "Gitea", version)


async def detect(call: ForgeCall) -> Product:
    """The product behind the address.

    Raises:
        Refused: it is none we know, or too old to show the runs of its pipelines.
    """
    reply = await call.ask("GET", "/version", but={404})
    stated = "" if reply.status == 404 else text(row(reply.json()), "version")
    if not stated:
        raise Refused(f"{call.server} does not answer like Gitea or Forgejo: check forge.url, without /api/v1")
    product = product_of(stated)
    oldest = _OLDEST[product.name]
    if (0, 0) < product.version < oldest:
        raise Refused(
            f"{call.server} is {product} ({stated[:40]}), which shows no pipeline runs by its API: "
            f"upgrade it to {product.name} {oldest[0]}.{oldest[1]} or newer"
        )
    return product

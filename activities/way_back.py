"""What a host runs before the first change, so exactly that it can be run again."""

from collections.abc import Callable

from activities.clients.engine_container import LocalImage
from activities.family import Family, Member, Names
from activities.hosted_service import HostEngine
from runbook.identifier import digest_of, version_of
from runbook.service import WayBack, WayBackToRecord
from runbook.way_back import lines_of

_VERSION_LABEL = "org.opencontainers.image.version"


async def way_back(engine: HostEngine, order: WayBackToRecord) -> WayBack:
    """The way back of one host; where a release was cut short, what served before it.

    Raises:
        Refused: a later run has been here (cause FENCED).
    """
    own = Names(order.environment.container, order.ref.epoch)
    family = Family.among(await engine.containers(), own, order.ref.project)
    family.refuse_if_fenced(order.host)
    serving = family.predecessor()
    if serving is None:
        return WayBack(summary=f"{order.host} runs no {own.serving}: the way back is none", host=order.host)
    image = await engine.image(serving.container.image_id)
    repository = f"{order.artifact.registry}/{order.artifact.image}"
    digest, version = _digest(serving, image, repository), known_version(serving, image)
    return WayBack(
        summary=f"{order.host} runs {serving.told}, {serving.container.state}"[:149],
        evidence=[f"{serving} {serving.container.short_id}", *lines_of(version, digest)],
        host=order.host,
        container_id=serving.id,
        container_name=serving.name,
        image_id=serving.container.image_id,
        digest=digest,
        version=version,
    )


def _digest(serving: Member, image: LocalImage | None, repository: str) -> str | None:
    """By label, by the reference it was created with, or the only one it can be."""
    known = known_digests(serving, image, repository)
    stated = {serving.digest, serving.container.image.partition("@")[2]}
    return known[0] if known and (known[0] in stated or len(known) == 1) else None


def known_digests(serving: Member, image: LocalImage | None, repository: str) -> list[str]:
    """Every digest of the repository by which the image that runs is known, the one it was created by first.

    What a container states of itself counts alone only where the image is gone.
    """
    stated = [serving.digest, serving.container.image.partition("@")[2]]
    known = [name.partition("@")[2] for name in (image.digests if image else []) if name.startswith(f"{repository}@")]
    proved = [digest for digest in stated if digest in known or image is None]
    return [digest for digest in dict.fromkeys([*proved, *known]) if _is(digest_of, digest)]


def known_version(serving: Member, image: LocalImage | None) -> str | None:
    for text in (serving.told, image.labels.get(_VERSION_LABEL, "") if image else ""):
        version = text.removeprefix("v")
        if version and _is(version_of, version):
            return version
    return None


def _is(form: Callable[[str], str], text: str) -> bool:
    try:
        form(text)
    except ValueError:
        return False
    return True

"""An image that a host must have, byte for byte: looked for there first, pulled by digest otherwise."""

from activities.clients.engine_container import LocalImage
from activities.errors import Unreachable
from activities.hosted_service import HostEngine
from runbook.identifier import Digest
from runbook.project import CredentialsTable
from runbook.trouble import Cause


async def held(
    engine: HostEngine, repository: str, digest: Digest, credentials: CredentialsTable | None
) -> tuple[LocalImage, bool]:
    """The image as the host's engine has it, proved by its RepoDigests, and whether it had to be pulled.

    Raises:
        Refused: the registry does not take the credentials.
        Unreachable: it can't be pulled, or a pull that claimed success did not bring this digest.
    """
    pinned = f"{repository}@{digest}"
    found = await engine.image(pinned)
    if found and pinned in found.digests:
        return found, False
    await engine.pull(repository, digest, credentials)
    found = await engine.image(pinned)
    if found is None or pinned not in found.digests:
        raise Unreachable(
            f"{engine.host} pulled {pinned} without an error and still does not have it; pulled again",
            cause=Cause.DIGEST_UNKNOWN,
            evidence=found.digests if found else [],
        )
    return found, True

"""An image that a host must have, byte for byte: looked for there first, pulled by digest otherwise."""

from activities.clients.engine_container import LocalImage
from activities.errors import StepError, Unreachable
from activities.hosted_service import HostEngine
from runbook.artifact_table import CredentialsTable
from runbook.identifier import Digest
from runbook.trouble import Cause


async def held(
    engine: HostEngine, repository: str, digest: Digest, credentials: CredentialsTable | None
) -> tuple[LocalImage, bool]:
    """The image as the host's engine has it, proved by its RepoDigests, and whether it had to be pulled.

    Raises:
        Refused: the registry does not take the credentials.
        Unreachable: it can't be pulled, or a pull that claimed success did not bring this digest.
    """
    found = await _found(engine, f"{repository}@{digest}")
    if found:
        return found, False
    return await pulled(engine, repository, digest, credentials), True


async def pulled(
    engine: HostEngine, repository: str, digest: Digest, credentials: CredentialsTable | None
) -> LocalImage:
    """The same image, pulled now; a registry that does not give it matters only where the engine does not have it.

    Raises: as `held`.
    """
    pinned = f"{repository}@{digest}"
    try:
        await engine.pull(repository, digest, credentials)
    except StepError:
        if found := await _found(engine, pinned):
            return found
        raise
    found = await engine.image(pinned)
    if found is None or pinned not in found.digests:
        raise Unreachable(
            f"{engine.host} pulled {pinned} without an error and still does not have it; pulled again",
            cause=Cause.DIGEST_UNKNOWN,
            evidence=found.digests if found else [],
        )
    return found


async def _found(engine: HostEngine, pinned: str) -> LocalImage | None:
    found = await engine.image(pinned)
    return found if found and pinned in found.digests else None

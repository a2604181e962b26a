"""The build job: makes the image of a tag's commit, pushes it, and records its digest in the artifact manifest."""

from collections.abc import Callable

from deploy.sandbox.forge_git import Repository
from deploy.sandbox.images import build_image
from deploy.sandbox.images_push import push_image
from deploy.sandbox.pipeline_settings import PipelineSettings

BRANCH = "artifacts"
MANIFEST = "manifest.txt"


async def build_and_push(
    repository: Repository, ref: str, sha: str, settings: PipelineSettings, build: str, log: Callable[[str], None]
) -> None:
    """Done twice it changes nothing: the same commit makes the same image, and a recorded line is replaced."""
    tag = ref.removeprefix("refs/tags/")
    version = tag.removeprefix("v")
    kind = settings.kinds.get(version, "good")
    log(f"building {repository.full_name}:{tag} from {sha}")
    image = build_image(version, kind=kind, runtime=settings.runtime, shape=settings.shape, revision=sha, build=build)
    digest = await push_image(
        settings.registry,
        repository.full_name,
        image,
        [tag, sha],
        user=settings.registry_user,
        password=settings.registry_password,
    )
    log(f"pushed {tag} and {sha}: digest {digest}")
    await record(repository, tag, digest)
    log(f"recorded {tag} in {MANIFEST} of branch {BRANCH}")


async def record(repository: Repository, tag: str, digest: str) -> str:
    """Writes the line of `tag`, in place of another one it may have; the commit that holds it."""

    def change(held: bytes) -> bytes:
        wanted, lines = f"{tag} digest: {digest}", held.decode().splitlines()
        if wanted not in lines:
            lines = [line for line in lines if line.split()[:1] != [tag]] + [wanted]
        return "".join(f"{line}\n" for line in lines).encode()

    return await repository.edit(BRANCH, MANIFEST, change, f"Record {tag}\n\n[skip ci]\n")

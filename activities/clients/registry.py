"""The registry as a release needs it: which digest a tag has, and whether the credentials are worth something."""

import hashlib
from collections.abc import Generator
from datetime import timedelta

import httpx
from pydantic import BaseModel, SecretStr, ValidationError

from activities.clients.http import WHOLE_CALL, answering, body_of, pause_asked
from activities.clients.registry_auth import RegistryAuth
from activities.errors import Refused, StepError, Unreachable
from activities.secret import read_secret
from runbook.artifact_table import ArtifactTable
from runbook.trouble import Cause

# All four, always: a registry that misses one of them answers another digest or "unknown".
MANIFEST_TYPES = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)
_ACCEPT = {"Accept": ", ".join(MANIFEST_TYPES)}
_LARGEST = 4 * 1024 * 1024
_MOST_REDIRECTS = 5
# Of a body that was read: these are true of the bytes on the wire only.
_OF_THE_WIRE = {"content-encoding", "content-length", "transfer-encoding"}


class _Error(BaseModel):
    code: str


class _Refusal(BaseModel):
    errors: list[_Error]


class Registry:
    """`http` is the worker's client; the registry closes nothing. `within` bounds each call, with all of its answer."""

    def __init__(self, http: httpx.AsyncClient, within: timedelta = WHOLE_CALL) -> None:
        self._http = http
        self._within = within

    async def digest(self, artifact: ArtifactTable, tag: str) -> str:
        """The digest of the manifest, list or index behind the tag, hashed from its bytes and equal to what the registry says.

        Raises:
            Refused: the credentials, or a manifest in a form whose digest is worth nothing.
            Unreachable: no such tag (cause DIGEST_UNKNOWN), no answer, a digest that does not fit the bytes.
        """
        answer = await self._ask(artifact, self._auth(artifact), f"manifests/{tag}")
        where = f"{artifact.registry}/{artifact.image}:{tag}"
        if answer.status_code == 404 and _is_registrys(answer):
            raise Unreachable(
                f"registry {artifact.registry} has no {artifact.image}:{tag}: did the pipeline push it?",
                cause=Cause.DIGEST_UNKNOWN,
                evidence=_errors(answer),
            )
        if answer.status_code != 200:
            raise _unwell(artifact, answer)
        kind = answer.headers.get("content-type", "").partition(";")[0].strip()
        if kind not in MANIFEST_TYPES:
            raise Refused(
                f"{where} came as {kind or 'no type'}, not as a manifest whose digest can be compared: push it anew",
                cause=Cause.DIGEST_UNKNOWN,
            )
        return _proven(where, answer)

    async def prove(self, artifact: ArtifactTable, tag: str) -> str:
        """Prove that the credentials may read the image's own repository; one line that says how. `tag` need not exist.

        Raises:
            Refused: user, password or rights are not good (cause CREDENTIALS).
            Unreachable: no answer that could prove it.
        """
        auth = self._auth(artifact)
        # GET, because the body of a 404 tells a registry from any other web server.
        answer = await self._ask(artifact, auth, f"manifests/{tag}")
        if answer.status_code != 200 and not (answer.status_code == 404 and _is_registrys(answer)):
            raise _unwell(artifact, answer)
        if not auth.asked and artifact.credentials:
            # Whoever may read without being asked has proved nothing: the registry's root must ask.
            root = await self._ask(artifact, auth, "")
            if root.status_code != 200:
                raise _unwell(artifact, root)
        found = f"{artifact.image}:{tag} is " + ("there" if answer.status_code == 200 else "not there yet")
        if auth.asked:
            return f"{artifact.registry} lets {auth.who} read {artifact.image}; {found}"
        return f"{artifact.registry} asks nobody for credentials; {found}"

    async def _ask(self, artifact: ArtifactTable, auth: RegistryAuth, path: str) -> httpx.Response:
        scheme = "http" if artifact.insecure else "https"
        url = f"{scheme}://{artifact.registry}/v2/" + (f"{artifact.image}/{path}" if path else "")
        try:
            return await self._last(auth.auth_flow(self._http.build_request("GET", url, headers=_ACCEPT)))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            said = str(error) or type(error).__name__
            raise Unreachable(
                f"registry {artifact.registry} did not answer ({said}): is it up, and reached from here?"
            ) from None

    async def _last(self, flow: Generator[httpx.Request, httpx.Response]) -> httpx.Response:
        request = next(flow)
        while True:
            answer = await self._whole(request)
            try:
                request = flow.send(answer)
            except StopIteration:
                return answer

    async def _whole(self, request: httpx.Request) -> httpx.Response:
        """What is there at the end of the redirects, read; the library takes the login off where one leads elsewhere."""
        for _ in range(_MOST_REDIRECTS + 1):
            async with answering(self._http, request, self._within) as answer:
                content = await body_of(answer, _LARGEST)
            if content is None:
                place = f"{request.url.netloc.decode()}{request.url.path}"
                raise Refused(
                    f"{place} answered with more than {_LARGEST} bytes, which no manifest has and no token: is it a registry?"
                )
            if answer.next_request is None:
                kept = [(name, value) for name, value in answer.headers.items() if name not in _OF_THE_WIRE]
                return httpx.Response(answer.status_code, headers=kept, content=content, request=request)
            request = answer.next_request
        raise httpx.TooManyRedirects(f"more than {_MOST_REDIRECTS} redirects", request=request)

    @staticmethod
    def _auth(artifact: ArtifactTable) -> RegistryAuth:
        given = artifact.credentials
        password = read_secret(given.password) if given else SecretStr("")
        return RegistryAuth(artifact.image, given.user if given else "", password, insecure=artifact.insecure)


def _proven(where: str, answer: httpx.Response) -> str:
    hashed = "sha256:" + hashlib.sha256(answer.content).hexdigest()
    said = answer.headers.get("docker-content-digest", hashed)
    if said != hashed:
        raise Unreachable(
            f"registry says {said} for {where}, but its bytes are {hashed}: is something between changing them?",
            cause=Cause.DIGEST_MISMATCH,
        )
    return hashed


def _unwell(artifact: ArtifactTable, answer: httpx.Response) -> StepError:
    said = f"registry {artifact.registry} answered {answer.status_code} for {artifact.image}"
    if answer.status_code in {401, 403}:
        return Refused(
            f"{said}: the login may not read it, grant it read access",
            cause=Cause.CREDENTIALS,
            evidence=_errors(answer),
        )
    return Unreachable(f"{said}; tried again later", evidence=_errors(answer), again=pause_asked(answer.headers))


def _is_registrys(answer: httpx.Response) -> bool:
    try:
        said = _Refusal.model_validate_json(answer.content)
    except ValidationError:
        return False
    return bool(said.errors)


def _errors(answer: httpx.Response) -> list[str]:
    text = answer.text.strip()
    return [text[:300]] if text else []

"""Git over HTTP: the forge's accounts in front of the real `git http-backend`, and the pipeline behind a push."""

import asyncio
import subprocess

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from deploy.sandbox.forge_call import Call, Refused, who
from deploy.sandbox.forge_core import Account, Forge
from deploy.sandbox.forge_git import Repository, clean_environment

CHALLENGE = {"WWW-Authenticate": 'Basic realm="Gitea"'}
READ, WRITE = "git-upload-pack", "git-receive-pack"


class GitHttp:
    """Serves /{owner}/{repo}.git to `git clone`, `fetch` and `push`."""

    def __init__(self, forge: Forge) -> None:
        self.forge = forge

    def routes(self) -> list[Route]:
        return [
            Route("/{owner}/{repo}.git/info/refs", self.serve, methods=["GET"]),
            Route("/{owner}/{repo}.git/{service}", self.serve, methods=["POST"]),
        ]

    async def serve(self, request: Request) -> Response:
        service = request.path_params.get("service") or request.query_params.get("service", "")
        if service not in {READ, WRITE}:
            return PlainTextResponse("no dumb transport here\n", 404)
        try:
            account = who(self.forge, request)
        except Refused as refused:
            return PlainTextResponse(f"{refused.message}\n", refused.status, headers=CHALLENGE)
        call = Call(self.forge, request, account)
        if account is None and (self.forge.settings.private or service == WRITE):
            return PlainTextResponse("Unauthorized\n", 401, headers=CHALLENGE)
        try:
            repository = call.repository
        except Refused:
            return PlainTextResponse("Repository not found\n", 404)
        if service == WRITE and not call.may("write"):
            return PlainTextResponse("User permission denied for writing.\n", 403)
        answer = await self._backend(request, repository, account)
        if request.method == "POST" and service == WRITE:
            await self.forge.take_pushes(repository)
        return answer

    async def _backend(self, request: Request, repository: Repository, account: Account | None) -> Response:
        body = await request.body()
        environment = {
            **clean_environment(),
            "GIT_PROJECT_ROOT": str(self.forge.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
            "PATH_INFO": request.url.path,
            "REQUEST_METHOD": request.method,
            "QUERY_STRING": request.url.query,
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
            "REMOTE_USER": account.user if account else "",
            "REMOTE_ADDR": "127.0.0.1",
            "FORGE_BRAND": self.forge.traits.brand,
        }
        words = ["git", "http-backend"]

        def run() -> subprocess.CompletedProcess[bytes]:
            return subprocess.run(
                words, input=body, env=environment, cwd=repository.path, capture_output=True, check=False
            )

        done = await asyncio.to_thread(run)
        if done.returncode != 0 and not done.stdout:
            return PlainTextResponse(done.stderr.decode(errors="replace"), 500)
        return _from_cgi(done.stdout)


def _from_cgi(output: bytes) -> Response:
    head, _, body = output.partition(b"\r\n\r\n")
    status, headers = 200, dict[str, str]()
    for line in head.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(": ")
        if name.lower() == "status":
            status = int(value.split()[0])
        elif name:
            headers[name] = value
    return Response(body, status, headers=headers)

"""A forge that answers like Gitea or Forgejo, with real git repositories and a build pipeline behind it."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from deploy.sandbox import (
    forge_actions,
    forge_files,
    forge_guard,
    forge_issues,
    forge_refs,
    forge_releases,
    forge_statuses,
)
from deploy.sandbox import forge_shapes as shapes
from deploy.sandbox.faults import FaultMiddleware, Faults
from deploy.sandbox.forge_call import API, DEFAULT_PAGE, MAX_PAGE, Call, Handler, Refused, who
from deploy.sandbox.forge_core import Account, Forge, ForgeSettings
from deploy.sandbox.forge_flavours import Flavour
from deploy.sandbox.git_http import GitHttp
from deploy.sandbox.pipeline_settings import PipelineSettings

__all__ = ["Account", "Flavour", "ForgeSettings", "build_forge"]

Endpoint = Callable[[Request], Awaitable[Response]]


def build_forge(root: Path, settings: ForgeSettings) -> Starlette:
    """The app for `root` (made when missing): /api/v1 and /{owner}/{repo}.git. Its lifespan must run.

    `app.state.faults` holds its faults, `app.state.forge` the forge. `GET` and `PATCH /-/pipeline` read and
    change the pipeline's settings.
    """
    forge, faults = Forge(root, settings), Faults()

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        forge.pipeline.start()
        for repository in forge.repositories.values():
            await forge.take_pushes(repository)
        yield
        await forge.pipeline.stop()
        forge.store.close()

    app = Starlette(
        routes=[
            *_api(forge),
            *GitHttp(forge).routes(),
            Route("/-/pipeline", _pipeline(forge), methods=["GET", "PATCH"]),
        ],
        middleware=[Middleware(FaultMiddleware, faults=faults)],
        exception_handlers={Refused: _answer_refusal, 404: _answer_unknown},
        lifespan=lifespan,
    )
    app.state.faults = faults
    app.state.forge = forge
    app.router.redirect_slashes = False
    return app


async def version(call: Call) -> Response:
    return JSONResponse({"version": call.forge.traits.version})


async def forgejo_version(call: Call) -> Response:
    return JSONResponse({"version": call.forge.traits.forgejo_version})


async def api_settings(_: Call) -> Response:
    sizes = {"default_git_trees_per_page": 1000, "default_max_blob_size": 10485760}
    return JSONResponse({"max_response_items": MAX_PAGE, "default_paging_num": DEFAULT_PAGE, **sizes})


async def user(call: Call) -> Response:
    if call.account is None:
        raise Refused(401, "token is required")
    return JSONResponse(shapes.user(call, call.account.user))


async def repository(call: Call) -> Response:
    return JSONResponse(shapes.repository(call))


def _api(forge: Forge) -> list[Route]:
    routes = [
        Route(f"{API}/version", _endpoint(forge, version), methods=["GET"]),
        Route(f"{API}/settings/api", _endpoint(forge, api_settings), methods=["GET"]),
        Route(f"{API}/user", _endpoint(forge, user, "user"), methods=["GET"]),
    ]
    if forge.traits.forgejo_version:
        routes.append(Route("/api/forgejo/v1/version", _endpoint(forge, forgejo_version), methods=["GET"]))
    tables: list[list[tuple[str, str, Handler]]] = [
        [("GET", "", repository)],
        forge_refs.ROUTES,
        forge_guard.ROUTES,
        forge_files.ROUTES,
        forge_statuses.ROUTES,
        forge_releases.ROUTES,
        forge_actions.routes(forge.traits),
    ]
    for method, path, handler in [row for table in tables for row in table]:
        endpoint = _endpoint(forge, handler, "repository")
        routes.append(Route(f"{API}/repos/{{owner}}/{{repo}}{path}", endpoint, methods=[method]))
    for method, path, handler in forge_issues.ROUTES:
        endpoint = _endpoint(forge, handler, "issue")
        routes.append(Route(f"{API}/repos/{{owner}}/{{repo}}{path}", endpoint, methods=[method]))
    return routes


def _endpoint(forge: Forge, handler: Handler, category: str = "") -> Endpoint:
    """`category` is the scope a token needs: read for GET, write for the rest."""

    async def endpoint(request: Request) -> Response:
        call = Call(forge, request, who(forge, request))
        if category and call.account:
            _check_scope(call.account, category, writes=request.method not in {"GET", "HEAD"}, forge=forge)
        if category in {"repository", "issue"}:
            _check_repository(call)
        return await handler(call)

    return endpoint


def _check_repository(call: Call) -> None:
    # First the 404 of a repository the caller may not see, then the 401 of nobody who wants to write.
    if call.repository and call.account is None and call.request.method not in {"GET", "HEAD"}:
        raise Refused(401, "token is required")


def _check_scope(account: Account, category: str, *, writes: bool, forge: Forge) -> None:
    wanted = f"{'write' if writes else 'read'}:{category}"
    if wanted in account.scopes or f"write:{category}" in account.scopes:
        return
    message = "token does not have at least one of required scope(s)"
    if forge.traits.forgejo_version:
        raise Refused(403, f"{message}: [{wanted}]")
    raise Refused(403, f"{message}, required=[{wanted}], token scope={','.join(account.scopes)}")


async def _answer_refusal(request: Request, refused: Exception) -> Response:
    if not isinstance(refused, Refused):
        raise refused
    url = f"{request.base_url}api/swagger"
    return JSONResponse({"message": refused.message, "url": url, **refused.more}, refused.status)


async def _answer_unknown(_: Request, __: Exception) -> Response:
    return PlainTextResponse("Not found.\n", 404)


def _pipeline(forge: Forge) -> Endpoint:
    async def pipeline(request: Request) -> Response:
        if request.method == "PATCH":
            try:
                changed = {**forge.pipeline.settings.model_dump(), **(await request.json())}
                forge.pipeline.settings = PipelineSettings.model_validate(changed)
            except (ValidationError, ValueError, TypeError) as error:
                return PlainTextResponse(f"{error}\n", 422)
        return JSONResponse(forge.pipeline.settings.model_dump(exclude={"registry_password"}))

    return pipeline

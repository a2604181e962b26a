"""An OCI distribution registry (push and pull) on a folder, answering as docker-registry 2.8 was measured to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from starlette.applications import Starlette
from starlette.middleware import Middleware

from deploy.sandbox.faults import FaultMiddleware, Faults


@dataclass(frozen=True)
class RegistrySettings:
    """`auth` none needs no account; `ignore_accept` serves the stored bytes whatever is accepted, as Gitea does."""

    auth: Literal["none", "basic", "bearer"] = "none"
    user: str = "release-bot"
    password: str = ""
    pull_only: tuple[str, ...] = ()
    ignore_accept: bool = False


def build_registry(root: Path, settings: RegistrySettings) -> Starlette:
    """The app for `root` (made when missing); `app.state.faults` holds its faults."""
    root.mkdir(parents=True, exist_ok=True)
    faults = Faults()
    app = Starlette(routes=[], middleware=[Middleware(FaultMiddleware, faults=faults)])
    app.state.faults = faults
    app.state.settings = settings
    return app

"""A forge that answers like Gitea or Forgejo, with real git repositories and a build pipeline behind it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from starlette.applications import Starlette
from starlette.middleware import Middleware

from deploy.sandbox.faults import FaultMiddleware, Faults
from deploy.sandbox.pipeline_settings import PipelineSettings

Flavour = Literal["gitea-1.23", "gitea-1.26", "forgejo-15"]


@dataclass(frozen=True)
class ForgeSettings:
    """One account (`user`, `token`) with admin rights on one repository ("owner/name"), made empty when missing."""

    token: str = field(repr=False)
    user: str = "release-bot"
    repository: str = "acme/shop"
    flavour: Flavour = "gitea-1.26"
    private: bool = True
    pipeline: PipelineSettings = field(default_factory=PipelineSettings)


def build_forge(root: Path, settings: ForgeSettings) -> Starlette:
    """The app for `root` (made when missing): /api/v1 and /{owner}/{repo}.git.

    `app.state.faults` holds its faults, `app.state.pipeline` the pipeline. Needs its lifespan run (`serving.serve` does).
    """
    root.mkdir(parents=True, exist_ok=True)
    faults = Faults()
    app = Starlette(routes=[], middleware=[Middleware(FaultMiddleware, faults=faults)])
    app.state.faults, app.state.settings = faults, settings
    return app

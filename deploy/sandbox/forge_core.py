"""The forge itself: its accounts, repositories, memory and pipeline, and the settings they are made from."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from deploy.sandbox.forge_flavours import TRAITS, Flavour
from deploy.sandbox.forge_git import MISSING, Repository
from deploy.sandbox.forge_hooks import protect, take_pushed
from deploy.sandbox.forge_store import ForgeStore
from deploy.sandbox.pipeline import Pipeline
from deploy.sandbox.pipeline_settings import PipelineSettings

Rights = Literal["admin", "write", "read", "none"]
ALL_SCOPES = ("write:repository", "write:issue", "write:user", "write:package")


@dataclass(frozen=True)
class Account:
    """A user with a token; `rights` hold for every repository, `scopes` limit the token."""

    user: str
    token: str = field(repr=False)
    rights: Rights = "read"
    scopes: tuple[str, ...] = ALL_SCOPES


@dataclass(frozen=True)
class ForgeSettings:
    """`user` with `token` administers every repository ("owner/name"; made empty when missing)."""

    token: str = field(repr=False)
    user: str = "release-bot"
    accounts: tuple[Account, ...] = ()
    repositories: tuple[str, ...] = ("acme/shop",)
    flavour: Flavour = "gitea-1.26"
    private: bool = True
    pipeline: PipelineSettings = field(default_factory=PipelineSettings)


class Forge:
    def __init__(self, root: Path, settings: ForgeSettings) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self.settings = settings
        self.traits = TRAITS[settings.flavour]
        self.accounts = (Account(settings.user, settings.token, "admin"), *settings.accounts)
        self.store = ForgeStore(root / "forge.sqlite")
        self.repositories = {name: Repository(root / f"{name}.git", name) for name in settings.repositories}
        for repository in self.repositories.values():
            repository.create()
        self.pipeline = Pipeline(self.store, self.repositories, settings.pipeline, settings.user)

    def user_id(self, user: str) -> int:
        names = [account.user for account in self.accounts]
        return names.index(user) + 1 if user in names else 0

    async def take_pushes(self, repository: Repository) -> None:
        """Tells the pipeline what git's hook noted since the last time."""
        for _, new, ref in take_pushed(repository.path):
            commit = None if new == MISSING else await repository.commit_of(new)
            if commit:
                await self.pipeline.pushed(repository, ref, commit)

    def protect(self, repository: Repository) -> None:
        """Writes the protections the API knows where the git hook reads them."""
        branches = self.store.all("branch_protection", repository.full_name)
        tags = self.store.all("tag_protection", repository.full_name)
        rules = [(f"refs/heads/{rule['rule_name']}", rule["push_whitelist_usernames"]) for rule in branches]
        rules += [(f"refs/tags/{rule['name_pattern']}", rule["whitelist_usernames"]) for rule in tags]
        protect(repository.path, rules)

"""What differs between the forges a release meets."""

from dataclasses import dataclass
from typing import Literal

Flavour = Literal["gitea-1.23", "gitea-1.26", "forgejo-15"]


@dataclass(frozen=True)
class Traits:
    """`strict_token_word`: only `token` in lower case authenticates. `runs`: whose JSON actions/runs has, or none."""

    version: str
    brand: str
    forgejo_version: str = ""
    runs: Literal["none", "gitea", "forgejo"] = "none"
    jobs: bool = False
    rerun: bool = False
    dispatch: bool = False
    strict_token_word: bool = False
    bad_token: str = "invalid username, password or token"
    exact_refs: bool = False
    list_headers_on_actions: bool = False


NOBODY = "user does not exist [uid: 0, name: ]"

TRAITS: dict[Flavour, Traits] = {
    "gitea-1.23": Traits(version="1.23.8", brand="Gitea", strict_token_word=True, bad_token=NOBODY),
    "gitea-1.26": Traits(
        version="1.26.3",
        brand="Gitea",
        runs="gitea",
        jobs=True,
        rerun=True,
        dispatch=True,
        exact_refs=True,
        list_headers_on_actions=True,
    ),
    "forgejo-15": Traits(
        version="15.0.3+gitea-1.22.0",
        brand="Forgejo",
        forgejo_version="15.0.3+gitea-1.22.0",
        runs="forgejo",
        dispatch=True,
        bad_token=NOBODY,
    ),
}

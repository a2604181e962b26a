"""Makes an annotated tag and pushes it alone; however often it is tried, one tag is there in the end."""

from dataclasses import dataclass
from pathlib import Path

from activities.clients.git_command import GitCommand, Output
from activities.clients.git_errors import failure, lines_of, told
from activities.clients.git_remote import Remote
from activities.errors import Refused, StepError, Unreachable
from runbook.trouble import Cause


@dataclass(frozen=True)
class Tagger:
    """Who the tag says made it."""

    name: str
    email: str

    def __post_init__(self) -> None:
        if not self.name or set("<>\r\n\0") & set(self.name + self.email):
            raise ValueError(
                f"the tagger {self.name!r} <{self.email!r}> needs a name, and neither < nor > nor line ends"
            )


class TagPush:
    def __init__(self, git: GitCommand, tagger: Tagger) -> None:
        self._git = git
        self._tagger = tagger

    async def make(self, mirror: Path, commit: str, tag: str, message: str) -> str:
        """The id of the tag's object. The same words give the same object: its date is the commit's."""
        if (await self._git.run(["check-ref-format", f"refs/tags/{tag}"], at=mirror)).code:
            raise Refused(f"git takes no tag that is called {tag}: give the release another version")
        dated = await self._git.run(["log", "-1", "--format=%ct", commit, "--"], at=mirror)
        head = f"object {commit}\ntype commit\ntag {tag}\ntagger {self._tagger.name} <{self._tagger.email}>"
        text = f"{head} {dated.text.strip()} +0000\n\n{message.strip() or tag}\n"
        made = await self._git.run(["mktag"], at=mirror, feed=text.encode())
        if made.code:
            # The name is one, so it is the worker: a full disk, say, which somebody will clear.
            what = f"could not make tag {tag} on {commit[:12]} in {mirror}: {told(made)}; look at the worker's disk"
            raise Unreachable(what, evidence=lines_of(made))
        return made.text.strip()

    async def push(self, mirror: Path, remote: Remote, tag: str, made: str) -> StepError | None:
        """None when the remote took the tag or had this very one; else what it said, which needs a second look."""
        words = ["push", "--porcelain", "--no-verify", "--no-follow-tags", "--no-recurse-submodules"]
        pushed = await self._git.run(
            [*words, "--", remote.address, f"{made}:refs/tags/{tag}"], at=mirror, remote=remote
        )
        if pushed.code == 0:
            return None
        return _refusal(pushed, remote, tag)


def _refusal(pushed: Output, remote: Remote, tag: str) -> StepError:
    verdict = next((line for line in pushed.text.splitlines() if line.startswith("!")), None)
    if verdict is None:
        return failure(pushed, remote, f"push tag {tag} to")
    reason = verdict.split("\t")[-1]
    what = f"{remote.name} did not take tag {tag}: {reason}; {told(pushed)}"
    # Two pushes at the same moment collide over the ref: only a second look tells who won.
    if "already exists" in reason or "lock" in reason:
        return Unreachable(what, evidence=lines_of(pushed))
    return Refused(
        f"{what}: confirm the commit is on the release branch and the tag's protection lets this account push",
        cause=Cause.PUSH_REJECTED,
        evidence=lines_of(pushed),
    )

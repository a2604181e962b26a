"""The containers of one service on one host: what their names mean, whose they are, and which is whose predecessor."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from activities.clients.engine_container import Container
from activities.errors import Refused
from runbook import names
from runbook.identifier import tag_of
from runbook.message import ReleaseRef
from runbook.trouble import Cause

# The environment's container name: one host may run a project's staging and its production.
LABEL_CONTAINER: Final = "runbook.container"
# Where a container behind a proxy answers, `address:port`: kept over restarts, and over its own stop.
LABEL_UPSTREAM: Final = "runbook.upstream"

# Milliseconds since 1970 of thirteen digits, as every run's are from 2001 on.
_FIRST_EPOCH = 10**12
_TAG = re.compile(r":(\w[\w.-]{0,127})(?:@|$)")


class Part(StrEnum):
    """What a container is for, said by its name."""

    SERVING = "serving"
    NEW = "new"
    OLD = "old"
    BACK = "back"
    GONE = "gone"
    FENCE = "fence"


_TAKEN_OVER: Final = {Part.OLD, Part.BACK, Part.GONE}


@dataclass(frozen=True)
class Names:
    """The names that one epoch gives.

    What it does to a container it does by such a name: when somebody later took the name away, nothing happens.
    """

    serving: str
    epoch: int

    @property
    def new(self) -> str:
        return f"{self.serving}-new-{self.epoch}"

    @property
    def old(self) -> str:
        return f"{self.serving}-old-{self.epoch}"

    @property
    def back(self) -> str:
        return f"{self.serving}-back-{self.epoch}"

    @property
    def fence(self) -> str:
        return f"{self.serving}-fence-{self.epoch}"

    def gone(self, container: Container) -> str:
        return f"{self.serving}-gone-{self.epoch}-{container.short_id}"

    def parse(self, name: str) -> tuple[Part, int] | None:
        """What a name says in any epoch, and which (0 for the serving name); None for a stranger's."""
        if name == self.serving:
            return Part.SERVING, 0
        found = re.fullmatch(
            rf"{re.escape(self.serving)}-(?:(new|old|back|fence)-([1-9]\d*)|(gone)-([1-9]\d*)-[0-9a-f]{{12}})", name
        )
        return (Part(found[1] or found[3]), int(found[2] or found[4])) if found else None

    def given(self, container: Container) -> tuple[Part, int] | None:
        """The same of a container, None also for one that only has such a name: Compose's `shop-back-1` is no run's.

        A run gives its names to what it makes, with labels, and to the one without that served before the first release.
        """
        said = self.parse(container.name)
        if said is None or said[0] is Part.SERVING:
            return said
        if _is_labelled(container):
            return said if container.labels.get(LABEL_CONTAINER) in {None, self.serving} else None
        part, epoch = said
        return said if part in _TAKEN_OVER and _FIRST_EPOCH <= epoch <= self.epoch else None


@dataclass(frozen=True)
class Member:
    """`epoch` is the label's, of the run that created it (0 without one); `named_by` the epoch in its name."""

    container: Container
    part: Part | None
    named_by: int

    @property
    def id(self) -> str:
        return self.container.id

    @property
    def name(self) -> str:
        return self.container.name

    @property
    def alive(self) -> bool:
        return self.container.alive

    @property
    def ended(self) -> bool:
        """It was started once and is not well now."""
        return self.container.state in {"exited", "dead", "restarting"}

    @property
    def labelled(self) -> bool:
        """A run of ours made it."""
        return _is_labelled(self.container)

    @property
    def upstream(self) -> str:
        """Empty for one that publishes a port instead."""
        return self.container.labels.get(LABEL_UPSTREAM, "")

    @property
    def epoch(self) -> int:
        text = self.container.labels.get(names.LABEL_EPOCH, "")
        return int(text) if text.isdecimal() else 0

    @property
    def release(self) -> str:
        return self.container.labels.get(names.LABEL_RELEASE, "")

    @property
    def digest(self) -> str:
        return self.container.labels.get(names.LABEL_DIGEST, "")

    @property
    def version(self) -> str:
        return self.container.labels.get(names.LABEL_VERSION, "")

    @property
    def told(self) -> str:
        """What it runs, as short as can be: `v1.4.0`, or the image's own name."""
        if self.version:
            return tag_of(self.version)
        tagged = _TAG.search(self.container.image)
        return tagged[1] if tagged else self.container.image[:80]

    def __str__(self) -> str:
        return f"{self.name} ({self.told}, {self.container.state})"


@dataclass(frozen=True)
class Family:
    """One look at all of them. `own` are the names of the epoch that looks."""

    members: Sequence[Member]
    own: Names

    @classmethod
    def among(cls, containers: Iterable[Container], own: Names, project: str) -> "Family":
        """Those of this service: by label, or by name where there are no labels; the names that a run can have given.

        Raises:
            Refused: a container of another project has the service's name.
        """
        found: list[Member] = []
        for container in containers:
            part = own.given(container)
            whose = (container.labels.get(names.LABEL_PROJECT), container.labels.get(LABEL_CONTAINER))
            if part and whose[0] not in {None, project}:
                raise Refused(
                    f"container {container.name} belongs to project {whose[0]}, not to {project}: "
                    "give one of them another container name or host"
                )
            if part or whose == (project, own.serving):
                found.append(Member(container, *(part or (None, 0))))
        return cls(found, own)

    @property
    def serving(self) -> Member | None:
        return self.named(self.own.serving)

    @property
    def latest(self) -> int:
        return max((member.epoch for member in self.members), default=0)

    def named(self, name: str) -> Member | None:
        return next((member for member in self.members if member.name == name), None)

    def with_id(self, identity: str | None) -> Member | None:
        return next((member for member in self.members if member.id == identity), None)

    def is_mine(self, member: Member) -> bool:
        return member.epoch == self.own.epoch

    def after(self, changes: Sequence[tuple[Member, str, str]]) -> "Family":
        """What it is once each of these has this name and is in this state."""
        changed = {
            member.id: Member(
                member.container.model_copy(update={"name": name, "state": state}), *(self.own.parse(name) or (None, 0))
            )
            for member, name, state in changes
        }
        return Family([changed.get(member.id, member) for member in self.members], self.own)

    def refuse_if_fenced(self, host: str) -> None:
        """Raises Refused (cause FENCED) when a later run has been here."""
        later = max(self.members, key=lambda member: member.epoch, default=None)
        if later and later.epoch > self.own.epoch:
            raise Refused(
                f"{host} has {later.name} of a later run ({later.release or 'unknown'}): this one is out of date and "
                "changes nothing more there; look at the later run instead",
                cause=Cause.FENCED,
            )

    def is_ours(self, member: Member, recorded: str | None) -> bool:
        """More than its name tells that a run took it over: the way back, or another container of that run.

        Without that it may be a person's: beside what serves it is neither stopped nor removed.
        """
        runs = {self.own.epoch, *(other.epoch for other in self.members)}
        told = member.named_by in runs or member.id == recorded
        return told or member.labelled or member.part is Part.SERVING

    def predecessor(self, recorded: str | None = None) -> Member | None:
        """What serves, or served until a swap was cut short: the container that a failure gives the name back to.

        `recorded` is the id of the way back, for when nothing has the serving name.
        """
        others = [member for member in self.members if not self.is_mine(member) and member.part is not Part.FENCE]
        if self.serving in others:
            return self.serving
        by_us = [member for member in others if member.name in {self.own.old, self.own.back}]
        by_id = [member for member in others if member.id == recorded]
        newest = sorted(others, key=lambda member: (_kept(member), member.named_by), reverse=True)
        cut_short = [member for member in newest if member.alive or (_kept(member) and self._has_heir(member))]
        return next(iter([*by_us, *by_id, *cut_short]), None)

    def _has_heir(self, member: Member) -> bool:
        """Its successor never got the name: a person who removed the service leaves no such."""
        return any(m.part is Part.NEW and m.named_by == member.named_by for m in self.members)


def _is_labelled(container: Container) -> bool:
    return not container.labels.keys().isdisjoint({names.LABEL_PROJECT, names.LABEL_EPOCH, LABEL_CONTAINER})


def _kept(member: Member) -> bool:
    return member.part in {Part.OLD, Part.BACK}


def labels(ref: ReleaseRef, container: str, version: str, digest: str, upstream: str = "") -> dict[str, str]:
    """The labels of a container made by this run."""
    return {
        names.LABEL_PROJECT: ref.project,
        names.LABEL_VERSION: version,
        names.LABEL_DIGEST: digest,
        names.LABEL_RELEASE: ref.release,
        names.LABEL_EPOCH: str(ref.epoch),
        LABEL_CONTAINER: container,
        **({LABEL_UPSTREAM: upstream} if upstream else {}),
    }

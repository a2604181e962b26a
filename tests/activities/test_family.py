"""Which containers of a host are a service's: by its labels, by its name, or by a name that a run of its own gave."""

import hashlib
from collections.abc import Mapping
from typing import Any

import pytest

from activities.clients.engine_container import Container
from activities.errors import Refused
from activities.family import LABEL_CONTAINER, Family, Member, Names, labels
from runbook import names
from tests.activities.host_bench import ref
from tests.epochs import epoch_of, in_full

OWN = Names("shop", epoch_of(20))
OURS = labels(ref(10), "shop", "1.0.0", "")


def container(name: str, state: str = "running", given: Mapping[str, str] | None = None) -> Container:
    identity = hashlib.sha256(name.encode()).hexdigest()
    fields = {"Id": identity, "Names": [f"/{name}"], "ImageID": "sha256:0", "Image": "shop", "State": state}
    return Container.model_validate({**fields, "Labels": dict(given or {})})


def family(*containers: Container) -> Family:
    return Family.among(containers, OWN, "shop")


def told(members: list[Member] | None = None, *containers: Container) -> list[str]:
    return [member.name for member in members or family(*containers).members]


@pytest.mark.parametrize(
    "name",
    [
        # The service `back` of a Compose project `shop`, and what people call their backups.
        "shop-back-1",
        "shop-new-2",
        "shop-old-20240131",
        "shop-old-20240131093000",
        "shop-old-1706659200",
        "shop-old-0001706659200",
        # A time to come.
        in_full("shop-old-21"),
        # What a run makes has labels, only what it takes over has none.
        in_full("shop-new-10"),
        in_full("shop-fence-10"),
        # No run gives such names.
        in_full("shop-old-10") + "-1",
        in_full("shop-gone-10"),
        "shop-old",
        "shops",
    ],
)
def test_without_labels_a_name_that_no_run_can_have_given_is_a_stranger_s(name: str) -> None:
    assert family(container(name)).members == []
    assert family(container(name)).predecessor() is None


@pytest.mark.parametrize("name", ["shop-old-10", "shop-back-10", "shop-old-20", f"shop-gone-10-{'0a' * 6}", "shop"])
def test_without_labels_a_name_that_a_run_gave_to_what_it_took_over_counts(name: str) -> None:
    [member] = family(container(in_full(name))).members
    assert (member.name, member.labelled) == (in_full(name), False)


@pytest.mark.parametrize("name", ["shop-new-10", "shop-fence-10", "shop-old-30", "shop-old-20240131", "renamed"])
def test_with_labels_it_counts_whatever_it_is_called(name: str) -> None:
    assert [member.labelled for member in family(container(in_full(name), given=OURS)).members] == [True]


def test_a_service_that_has_such_a_name_itself_is_another_service() -> None:
    beside = labels(ref(10), "shop-back-1", "1.0.0", "")
    for theirs in (beside, beside | {names.LABEL_PROJECT: "till"}):
        assert family(container("shop-back-1", given=theirs)).members == []


@pytest.mark.parametrize("name", ["shop", "shop-old-10"])
def test_a_service_of_another_project_with_the_same_name_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="belongs to project till, not to shop"):
        family(container(in_full(name), given=OURS | {names.LABEL_PROJECT: "till"}))


def test_the_service_s_name_is_taken_over_whoever_has_it() -> None:
    assert len(family(container("shop", given={LABEL_CONTAINER: "shop-staging"})).members) == 1


@pytest.mark.parametrize("name", ["shop-old-10", "shop-back-10"])
def test_what_a_run_that_was_cut_short_left_running_ran_before(name: str) -> None:
    left = family(container("shop-back-1"), container(in_full(name)))
    found = left.predecessor()
    assert found
    assert found.name == in_full(name)


def test_without_labels_a_run_s_name_is_believed_when_something_else_tells_of_that_run() -> None:
    serving, looks = container("shop", given=OURS), container(in_full("shop-old-7"))
    assert not is_ours(looks, serving)
    heir = container(in_full("shop-new-7"), "created", labels(ref(7), "shop", "1.0.0", ""))
    assert is_ours(looks, serving, heir)
    assert is_ours(looks, serving, recorded=looks.id)
    assert is_ours(container(in_full("shop-old-20")), serving)
    assert is_ours(container(in_full("shop-old-7"), given=OURS), serving)
    assert is_ours(serving, looks)


def is_ours(which: Container, *others: Container, recorded: Any = None) -> bool:
    found = family(which, *others)
    member = found.with_id(which.id)
    assert member
    return found.is_ours(member, recorded)

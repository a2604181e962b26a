"""Binds a method to the step it performs; the types of both are checked against each other."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from temporalio import activity

from runbook.message import Finding, Order
from runbook.step import Step

OwnerT = TypeVar("OwnerT")
OrderT = TypeVar("OrderT", bound=Order)
FindingT = TypeVar("FindingT", bound=Finding)

Performance = Callable[[OwnerT, OrderT], Awaitable[FindingT]]


def performs(
    step: Step[OrderT, FindingT],
) -> Callable[[Performance[OwnerT, OrderT, FindingT]], Performance[OwnerT, OrderT, FindingT]]:
    """Make the method the activity of this step, under the step's wire name."""

    def bind(method: Performance[OwnerT, OrderT, FindingT]) -> Performance[OwnerT, OrderT, FindingT]:
        return activity.defn(name=step.name)(method)

    return bind


def performances(*groups: object) -> list[Callable[..., Any]]:
    """The bound activities of these groups, for the worker to register."""
    return [
        getattr(group, name)
        for group in groups
        for name in dir(type(group))
        if hasattr(getattr(type(group), name), "__temporal_activity_definition")
    ]

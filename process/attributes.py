"""The search attributes by which releases are found in Temporal's list; registered where that is allowed."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import structlog
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError

from runbook import names

log = structlog.stdlib.get_logger()

_KEYWORD = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
_BOOL = IndexedValueType.INDEXED_VALUE_TYPE_BOOL
_PATIENCE = timedelta(seconds=10)

OURS: Mapping[str, IndexedValueType.ValueType] = {
    names.SEARCH_PROJECT: _KEYWORD,
    names.SEARCH_VERSION: _KEYWORD,
    names.SEARCH_STAGE: _KEYWORD,
    names.SEARCH_OUTCOME: _KEYWORD,
    names.SEARCH_NEEDS_PERSON: _BOOL,
}
WAITING: Final = f"{names.SEARCH_NEEDS_PERSON} = true AND ExecutionStatus = 'Running'"
"""Which runs need a person, as Temporal's list is asked for them."""


async def ensure_search_attributes(client: Client) -> bool:
    """Whether all five are there with the right type, after adding what was missing where that is allowed.

    A workflow that sets an unregistered attribute is stuck, so it must be told; False never stops a worker.
    """
    try:
        there = await _listed(client)
        missing = {name: kind for name, kind in OURS.items() if name not in there}
        if missing:
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing), timeout=_PATIENCE
            )
            log.info("search attributes registered", names=sorted(missing))
            there = await _listed(client)
    except RPCError as error:
        log.warning(
            "search attributes can't be registered, releases go on without them: let an administrator add them, then restart the worker",
            names=sorted(OURS),
            why=error.message,
        )
        return False
    wrong = sorted(name for name, kind in OURS.items() if there.get(name) != kind)
    if wrong:
        log.warning("search attributes are missing or of another type, releases go on without them", names=wrong)
    return not wrong


async def _listed(client: Client) -> Mapping[str, IndexedValueType.ValueType]:
    answer = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace), timeout=_PATIENCE
    )
    return answer.custom_attributes

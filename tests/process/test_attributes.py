"""Search attributes: registered once, and said to be there only when they are."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from process.attributes import ensure_search_attributes
from runbook import names
from tests.servers import temporal_server


@pytest.fixture
async def client() -> AsyncGenerator[Client]:
    """A server of its own: attributes are the whole server's."""
    with temporal_server() as server:
        yield await server.connect()


async def test_missing_attributes_are_registered_and_a_workflow_can_carry_them(client: Client) -> None:
    assert await ensure_search_attributes(client)
    assert await ensure_search_attributes(client), "registering is not repeated"
    pairs: list[SearchAttributePair[Any]] = [
        SearchAttributePair(SearchAttributeKey.for_keyword(names.SEARCH_PROJECT), "shop"),
        SearchAttributePair(SearchAttributeKey.for_bool(names.SEARCH_NEEDS_PERSON), value=True),
    ]
    await client.start_workflow("any", id="any", task_queue="any", search_attributes=TypedSearchAttributes(pairs))


async def test_an_attribute_of_another_type_means_that_releases_go_on_without(client: Client) -> None:
    wrong = {names.SEARCH_STAGE: IndexedValueType.INDEXED_VALUE_TYPE_INT}
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(namespace=client.namespace, search_attributes=wrong)
    )
    assert not await ensure_search_attributes(client)


async def test_a_server_that_does_not_allow_it_means_that_releases_go_on_without(client: Client) -> None:
    config = client.config()
    config["namespace"] = "not-there"
    assert not await ensure_search_attributes(Client(**config))

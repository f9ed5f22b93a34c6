"""The contract's property tests again with blocks, pages and caches so small that every seam is crossed."""

from collections.abc import Iterator

import pytest

from secmon.store.sqlite import block, dictionary, documents, outcomes, partition, selection, shares
from tests.contracts import (
    test_commit_contract,
    test_event_query_contract,
    test_outcomes_contract,
    test_records_contract,
)

_SMALL = [
    (block, "MAX_EVENTS", 3),
    (block, "MAX_BYTES", 900),
    (block, "CACHE_BYTES", 1_000),
    (dictionary, "CACHE_BYTES", 1_000),
    (dictionary, "_MAX_CACHED_CHARS", 9),
    (documents, "_FEW", 2),
    (outcomes, "_PAGE", 2),
    (partition, "_FIRST_PAGE", 1),
    (partition, "_MAX_PAGE", 2),
    (partition, "_SELECTIVE_PAGE", 2),
]


# (below which share of all blocks a query is selective, words up to which a field is counted by blocks)
@pytest.fixture(autouse=True, params=[(0, 1_000), (1_000, 0)], ids=["selective", "walking"], scope="module")
def small_pages(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module, name, value in _SMALL:
            patch.setattr(module, name, value)
        few_blocks, max_words = request.param
        patch.setattr(selection, "_SELECTIVE", few_blocks)
        patch.setattr(shares, "MAX_WORDS", max_words)
        yield


@pytest.fixture(scope="module")
def backend() -> str:
    return "sqlite"


test_digest = test_commit_contract.test_the_digest_does_not_depend_on_batches_or_their_order
test_events = test_event_query_contract.test_events_are_found_in_order_as_the_oracle_finds_them
test_counts = test_event_query_contract.test_counts_and_profiles_are_those_of_the_oracle
test_by_id = test_event_query_contract.test_events_by_id_come_in_the_order_asked_and_only_in_scope
test_hits = test_outcomes_contract.test_hits_are_filtered_and_sorted
test_findings = test_outcomes_contract.test_findings_are_filtered_sorted_and_counted
test_records = test_records_contract.test_lists_and_counts_are_those_of_the_oracle

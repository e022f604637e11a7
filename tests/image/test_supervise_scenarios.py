"""The list of hard tests has no hole that nobody knows of, and the page that tells where each is tested is right."""

from __future__ import annotations

from tests.scenarios import BESIDE, CONTAINERS, HERE, ONLY_IN_CONTAINERS, places, table


def test_every_scenario_is_put_to_real_containers_and_beside_them_or_for_a_reason_not() -> None:
    """All twenty-four."""
    all_places = places()
    assert [number for number, found in all_places.items() if CONTAINERS not in found] == []
    assert {number for number, found in all_places.items() if not found.keys() & set(BESIDE)} == set(ONLY_IN_CONTAINERS)


def test_the_table_in_the_docs_is_what_the_tests_say() -> None:
    """`python -m tests.scenarios` prints it."""
    assert table() in (HERE.parent / "docs" / "supervision.md").read_text()

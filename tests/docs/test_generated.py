"""The generated pages say what the code says."""

from docs.generate import outdated
from docs.runbook_page import runbook_page
from docs.runbook_words import DONE
from runbook import steps


def test_no_generated_page_is_out_of_date() -> None:
    assert outdated() == [], "run `make docs` and commit what it writes"


def test_the_page_says_of_every_step_and_of_nothing_else_what_counts_as_done() -> None:
    assert set(DONE) == set(steps.BY_NAME)


def test_every_step_is_linked_from_the_overview_to_its_own_part() -> None:
    page = runbook_page()
    for step in steps.ALL:
        assert page.count(f"](#{step.name})") == 1
        assert page.count(f'<a id="{step.name}">') == 1

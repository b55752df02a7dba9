"""The facts of a version are read back as they were written, and refused otherwise."""

from pathlib import Path

import pytest

from scidata.errors import InvalidError
from scidata.facts import parse_facts
from scidata.formats.text import to_json
from scidata.measure import measure


def test_facts_that_were_written_are_read_back(staged: Path) -> None:
    facts = measure(
        staged, dataset="tiny", version="1.0.0", created="2026-01-02T03:04:05Z"
    ).facts
    assert parse_facts(to_json(facts.model_dump(mode="json")), where="here") == facts


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"dataset": "tiny"}', b"\xff"])
def test_facts_of_another_form_are_refused_with_their_place(data: bytes) -> None:
    with pytest.raises(InvalidError) as refused:
        parse_facts(data, where="tiny/v1.0.0/meta/facts.json")
    assert refused.value.where == "tiny/v1.0.0/meta/facts.json"
    assert refused.value.problems

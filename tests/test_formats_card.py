"""The README.md of a version shows what the record says, and obeys none of it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from scidata.formats import card
from scidata.formats.terms import license_file
from scidata.formats.text import citation, markdown
from tests.records import bare_record, facts_of, full_record

READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
HOSTILE = (
    "<script>alert(1)</script> <!-- --> &lt;b&gt; [click](javascript:alert(1)) "
    "![x](https://example.org/spy.png) <https://example.org> `code` *a* __b__ ~~c~~ \\| | d |"
)
LINES = (
    "# heading\n===\n> quoted\n- item\n+ item\n1. first\n2) second\n---\n***\n    code\n"
    "| a | b |\n|---|---|\n| c | d |\n```\nfence\n~~~\n<div>\n[x]: https://example.org"
)
PLAIN = {"paragraph_open", "paragraph_close", "inline", "text", "softbreak"}


def tokens(text: str) -> list[Token]:
    found = READER.parse(text)
    return [*found, *(child for token in found for child in token.children or ())]


def words(found: list[Token]) -> str:
    return " ".join(t.content for t in found if t.type == "text").strip()


@given(st.text())
@example(HOSTILE)
@example(LINES)
@example("snake_case, 2 < 3, AT&T, 5-6, -5 °C, #1, a~b")
def test_markdown_shows_any_text_as_it_stands(text: str) -> None:
    found = tokens(markdown(text))
    assert {t.type for t in found} <= PLAIN | {"text_special"}


@pytest.mark.parametrize("text", [*HOSTILE.split(), *LINES.splitlines(), HOSTILE])
def test_markdown_loses_no_letter(text: str) -> None:
    (paragraph,) = (t for t in READER.parse(markdown(text)) if t.type == "inline")
    shown = "".join(child.content for child in paragraph.children or ())
    assert shown == text.strip()


def test_the_plain_words_of_science_are_left_alone() -> None:
    text = "M ≥ 2.5 at 33-37 °N, log_energy < 3; see https://example.org/a_b (v1.0)."
    assert markdown(text) == text


def test_hostile_texts_of_a_record_add_nothing_to_its_readme() -> None:
    rule = {
        "name": "place",
        "default": True,
        "dimension": "x",
        "unit": "a place",
        "rule": "Every fifth place validates.",
        "leaks": "Neighbours share waves.",
        "parts": [{"name": "train", "description": "Four of five."}],
    }
    harmless = full_record(splits=[rule], real_note="A buoy.", out_of_scope=["None."])
    long = f"Long enough an abstract for search engines, and hostile.\n{HOSTILE}\n{LINES}"
    hostile = full_record(
        title=f"Waves {HOSTILE}",
        abstract=long,
        methods=long,
        synthetic_note=HOSTILE,
        license={"name": HOSTILE, "url": "https://example.org/terms"},
        contact={"name": HOSTILE, "email": "josiah@example.org"},
        splits=[
            {
                **rule,
                "unit": HOSTILE,
                "rule": HOSTILE,
                "leaks": HOSTILE,
                "parts": [{"name": "train", "description": HOSTILE}],
            }
        ],
        variables=[{"name": "wave", "asset": "array", "description": HOSTILE, "units": "1"}],
        real_note=HOSTILE,
        out_of_scope=[HOSTILE],
        limitations=[{"description": long}],
    )
    expected, found = (
        tokens(card.readme(record, facts_of(record)).decode()) for record in (harmless, hostile)
    )
    risky = ("html", "link", "image", "heading", "table", "tr_", "s_open", "em", "blockquote")
    for kind in risky:
        assert sum(t.type.startswith(kind) for t in found) == sum(
            t.type.startswith(kind) for t in expected
        ), kind
    assert "alert(1)" in " ".join(t.content for t in found)


def test_control_characters_of_variable_names_do_not_enter_the_readme() -> None:
    record = bare_record()
    facts = facts_of(record)
    asset = facts.assets[0]
    named = asset.variables[0].model_copy(update={"name": "wave\x1b[2J"})
    changed = asset.model_copy(update={"variables": (named,)})
    facts = facts.model_copy(update={"assets": (changed,)})
    assert b"\x1b" not in card.readme(record, facts)


def test_the_licence_file_says_what_applies_and_whom_to_cite() -> None:
    record = full_record(license="CC-BY-4.0")
    text = license_file(record, facts_of(record)).decode()
    words = " ".join(text.split())
    for fact in (
        "Creative Commons Attribution 4.0 International",
        "SPDX id: CC-BY-4.0",
        "https://spdx.org/licenses/CC-BY-4.0",
        f"Cite as: {citation(record, facts_of(record))}",
        "Made from: Raw waves At: https://doi.org/10.1234/raw Licence: CC0-1.0",
        "Made from: A tide gauge At: https://example.org/tides",
    ):
        assert fact in words
    own = license_file(full_record(), facts_of(full_record())).decode()
    assert "SPDX id:   none" in own
    assert "https://example.org/terms" in own

"""BibTeX and CITATION.cff: what reference managers make of them."""

import re
from io import StringIO
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings

from scidata.catalog.founding import founding_records
from scidata.formats import FORMS
from scidata.record import Record
from scidata.testing.strategies import records
from tests.judges import judged
from tests.records import bare_record, full_record, hostile_record, subject_of

RECORDS = [bare_record(), full_record(), hostile_record(), *founding_records()]


def entry_of(record: Record, doi: str | None = None) -> tuple[list[str], dict[str, str]]:
    """What pybtex reads: the authors, and the fields."""
    from pybtex.database.input.bibtex import Parser

    text = FORMS["bibtex"].write(subject_of(record, doi=doi)).decode()
    (entry,) = Parser().parse_stream(StringIO(text)).entries.values()
    authors = [str(person) for person in entry.persons["author"]]
    return authors, dict(entry.fields)


def plain(text: str) -> str:
    """What TeX would show."""
    words = {"backslash": "\\", "asciitilde": "~", "asciicircum": "^", "quotedbl": '"'}
    words |= {"braceleft": "{", "braceright": "}"}

    def shown(match: re.Match[str]) -> str:
        return words[match[1]] if match[1] else match[2] or ""

    return re.sub(r"\\text(\w+)\{\}|\\([$&#%_])|[{}]", shown, text)


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: f"{r.id}-{len(r.creators)}")
def test_bibtex_names_every_creator_and_the_title_as_they_are(record: Record) -> None:
    from scidata.wording import printable

    authors, fields = entry_of(record)
    assert plain(fields["title"]) == printable(record.title)
    assert [plain(name) for name in authors] == [
        " ".join(printable(who.formal_name).split()) for who in record.creators
    ]


@settings(max_examples=50)
@given(record=records())
def test_whatever_a_record_says_bibtex_has_one_entry_with_its_creators(record: Record) -> None:
    authors, fields = entry_of(record)
    assert len(authors) == len(record.creators)
    assert fields["year"] == "2026"


def test_a_doi_stands_in_bibtex_as_it_is() -> None:
    _, fields = entry_of(full_record(), doi="10.1234/a_b#c")
    assert fields["doi"] == "10.1234/a_b%23c"
    assert fields["url"] == "https://doi.org/10.1234/a_b%23c"


def test_bibtex_of_ten_thousand_creators_is_read() -> None:
    authors, _ = entry_of(hostile_record(10_000))
    assert len(authors) == 10_000


@pytest.mark.slow
def test_cffconvert_finds_every_citation_file_valid(
    tmp_path: Path, judges_python: Path
) -> None:
    licensed = [full_record(license=name) for name in ("CC-BY-4.0", "CDLA-Permissive-2.0")]
    file, convert = tmp_path / "CITATION.cff", judges_python.with_name("cffconvert")
    for record in [*RECORDS, *licensed]:
        file.write_bytes(FORMS["cff"].write(subject_of(record, doi="10.1234/waves")))
        assert judged(convert, "--validate", "-i", file) == ""
    file.write_text(file.read_text().replace("title:", "titel:"))
    assert "titel" in judged(convert, "--validate", "-i", file)


def test_a_licence_that_is_younger_than_the_citation_file_format_is_an_address() -> None:
    subject = subject_of(full_record(license="CDLA-Permissive-2.0"))
    document = yaml.safe_load(FORMS["cff"].write(subject))
    assert document["license-url"] == "https://spdx.org/licenses/CDLA-Permissive-2.0"
    assert "license" not in document


@settings(max_examples=50)
@given(record=records())
def test_whatever_a_record_says_its_citation_file_says_it(record: Record) -> None:
    document = yaml.safe_load(FORMS["cff"].write(subject_of(record)))
    assert document["title"] == record.title
    assert document["abstract"] == record.abstract
    assert len(document["authors"]) == len(record.creators)
    assert document["keywords"] == list(record.keywords)

"""Identifiers are checked offline: check digits, syntax, and terms of vocabularies."""

import re
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scidata import identifiers
from scidata.errors import InvalidError, Problem
from scidata.identifiers import Vocabulary
from scidata.testing import strategies
from scidata.version import DATASET_ID

ORCID_CHARACTERS = "0123456789X"
ROR_CHARACTERS = "0123456789abcdefghjkmnpqrstvwxyz"


def problem_of(error: pytest.ExceptionInfo[InvalidError]) -> Problem:
    (problem,) = error.value.problems
    return problem


def damaged(text: str, characters: str) -> set[str]:
    """Every text that differs in one character, or by a swap of two neighbours."""
    changed = {
        text[:n] + other + text[n + 1 :]
        for n, character in enumerate(text)
        if character != "-"
        for other in characters
    }
    places = [n for n, character in enumerate(text) if character != "-"]
    for first, second in pairwise(places):
        swapped = list(text)
        swapped[first], swapped[second] = swapped[second], swapped[first]
        changed.add("".join(swapped))
    return changed - {text}


@given(strategies.orcids())
def test_every_slip_in_an_orcid_is_refused(orcid: str) -> None:
    assert identifiers.check_orcid(orcid) == orcid
    for wrong in damaged(orcid, ORCID_CHARACTERS):
        with pytest.raises(InvalidError):
            identifiers.check_orcid(wrong)


@given(strategies.rors())
def test_every_slip_in_a_ror_id_is_refused(ror: str) -> None:
    assert identifiers.check_ror(ror) == ror
    for wrong in damaged(ror, ROR_CHARACTERS):
        with pytest.raises(InvalidError):
            identifiers.check_ror(wrong)


@pytest.mark.parametrize("orcid", ["0000-0002-1825-0097", "0000-0002-1694-233X"])
def test_orcids_of_the_registry_pass(orcid: str) -> None:
    assert identifiers.check_orcid(orcid) == orcid


@pytest.mark.parametrize("ror", ["03gq8fr08", "01bj3aw27", "01ggx4157"])
def test_ror_ids_of_the_registry_pass(ror: str) -> None:
    assert identifiers.check_ror(ror) == ror


@pytest.mark.parametrize(
    "ror", ["13gq8fr08", "03gq8fr0", "03GQ8FR08", "03iq8fr08", "03gq8fr0٨"]
)
def test_what_has_not_the_form_of_a_ror_id_is_refused(ror: str) -> None:
    with pytest.raises(InvalidError) as error:
        identifiers.check_ror(ror)
    assert problem_of(error).code == "ror-form"


def test_an_identifier_with_its_url_names_the_bare_form() -> None:
    with pytest.raises(InvalidError) as error:
        identifiers.check_orcid("https://orcid.org/0000-0002-1825-0097")
    assert problem_of(error).fix == "write 0000-0002-1825-0097"
    with pytest.raises(InvalidError) as error:
        identifiers.check_ror("https://ror.org/03gq8fr08")
    assert problem_of(error).fix == "write 03gq8fr08"
    with pytest.raises(InvalidError) as error:
        identifiers.check_doi("https://doi.org/10.7909/C3WD3xH1")
    assert problem_of(error).fix == "write 10.7909/c3wd3xh1"


def test_the_licence_list_is_whole_and_says_where_it_is_from() -> None:
    terms = identifiers.spdx_terms()
    assert len(terms) == 740
    assert terms["CC-BY-4.0"] == ("Creative Commons Attribution 4.0 International", False)
    assert identifiers.check_spdx("CC-BY-4.0") == "CC-BY-4.0"


@pytest.mark.parametrize(
    ("wrong", "code", "nearest"),
    [
        ("cc-by-4.0", "spdx-unknown", "CC-BY-4.0"),
        ("CC BY 4.0", "spdx-unknown", "CC-BY-4.0"),
        ("Apache 2", "spdx-unknown", "Apache-2.0"),
        ("GPL-3.0", "spdx-deprecated", "GPL-3.0-only"),
        ("LGPL-2.1+", "spdx-deprecated", "LGPL-2.1-or-later"),
    ],
)
def test_a_wrong_licence_names_the_nearest_one(wrong: str, code: str, nearest: str) -> None:
    with pytest.raises(InvalidError) as error:
        identifiers.check_spdx(wrong)
    assert problem_of(error).code == code
    assert nearest in problem_of(error).fix


@given(strategies.dois())
def test_a_bare_doi_in_lower_case_passes(doi: str) -> None:
    assert identifiers.check_doi(doi) == doi


@pytest.mark.parametrize("doi", ["10.1/x", "10.5072/", "11.5072/x", "10.5072/a b", "10.5072/ä"])
def test_what_is_not_a_doi_is_refused(doi: str) -> None:
    with pytest.raises(InvalidError, match="is not a DOI"):
        identifiers.check_doi(doi)


@pytest.mark.parametrize("email", ["a@b.org", "first.last+data@sub-domain.example"])
def test_email_addresses_pass(email: str) -> None:
    assert identifiers.check_email(email) == email


@pytest.mark.parametrize(
    "email",
    ["a", "a@b", "@b.org", "a b@c.org", "a@b..org", "a@-b.org", ".a@b.org", "a@b.org\n"],
)
def test_what_is_not_an_email_address_is_refused(email: str) -> None:
    with pytest.raises(InvalidError, match="is not an e-mail address"):
        identifiers.check_email(email)


@given(strategies.dates())
def test_dates_of_every_precision_pass(date: str) -> None:
    assert identifiers.check_date(date) == date
    first, last = identifiers.instants(date)
    assert first <= last


@pytest.mark.parametrize(
    "date",
    ["yesterday", "", "19", "2024-13", "2023-02-29", "0000", "2024-1-1", "2024-01-01T10:00",
     "2024-01-01T25:00Z", "2024/01/01", "20240101", "2024-01-01 10:00Z", "٢٠٢٤"],
)  # fmt: skip
def test_what_is_not_a_date_is_refused(date: str) -> None:
    with pytest.raises(InvalidError, match="is not a date"):
        identifiers.check_date(date)


def test_a_date_means_all_of_its_day_month_or_year() -> None:
    assert identifiers.instants("2024-02") == (
        datetime(2024, 2, 1, tzinfo=UTC),
        datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC),
    )
    assert identifiers.instants("9999")[1].year == 9999
    shifted, _ = identifiers.instants("2024-01-01T00:30+01:00")
    assert shifted == datetime(2023, 12, 31, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize("dates", ["2018-01-01/2019-12-31", "2019/2019-01", "2020"])
def test_ranges_of_dates_pass(dates: str) -> None:
    assert identifiers.check_date_or_range(dates) == dates


@pytest.mark.parametrize(
    ("dates", "code"), [("2019/2018", "date-order"), ("2019/", "date-form"), ("/", "date-form")]
)
def test_ranges_that_run_backwards_or_are_open_are_refused(dates: str, code: str) -> None:
    with pytest.raises(InvalidError) as error:
        identifiers.check_date_or_range(dates)
    assert problem_of(error).code == code


@pytest.mark.parametrize(
    "url",
    ["example.org", "//example.org", "https://", "file:///etc/passwd", "javascript:alert(1)",
     "https://a b.org", "https://[::1", "https://example.org/\n", 'https://example.org/">'],
)  # fmt: skip
def test_what_is_not_an_absolute_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidError) as error:
        identifiers.check_url(url)
    assert problem_of(error).code == "url-form"


@pytest.mark.parametrize(
    "url",
    [
        "https://reader:hunter2@example.org/data",
        "https://example.org/data?X-Amz-Signature=hunter2&X-Amz-Date=1",
        "https://example.org/data?api_key=hunter2",
        "https://example.org/data?token=hunter2",
    ],
)
def test_a_url_with_a_credential_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(InvalidError) as error:
        identifiers.check_url(url)
    assert problem_of(error).code == "url-credential"
    assert "hunter2" not in f"{error.value}{problem_of(error)}"


@given(strategies.urls())
def test_absolute_urls_pass(url: str) -> None:
    assert identifiers.check_url(url) == url


@pytest.mark.parametrize(
    ("vocabulary", "count", "wrong", "nearest"),
    [
        ("relation-types", 39, "isDerivedFrom", "IsDerivedFrom"),
        ("contributor-types", 22, "Datacollector", "DataCollector"),
        ("resource-types", 34, "Journal article", "JournalArticle"),
        ("languages", 184, "EN", "en"),
    ],
)
def test_a_term_in_the_wrong_case_names_the_right_one(
    vocabulary: Vocabulary, count: int, wrong: str, nearest: str
) -> None:
    assert len(identifiers.vocabulary_terms(vocabulary)) == count
    assert identifiers.check_term(nearest, vocabulary) == nearest
    with pytest.raises(InvalidError) as error:
        identifiers.check_term(wrong, vocabulary)
    assert f"write {nearest}" in problem_of(error).fix


@given(st.from_regex(re.compile(DATASET_ID), fullmatch=True))
def test_an_id_that_can_be_referenced_can_be_recorded(name: str) -> None:
    assert identifiers.check_dataset_id(name) == name


@given(st.text(max_size=70))
def test_an_id_that_cannot_be_referenced_cannot_be_recorded(name: str) -> None:
    if re.fullmatch(DATASET_ID, name) is None:
        with pytest.raises(InvalidError):
            identifiers.check_dataset_id(name)

"""The record: read from untrusted YAML, every problem at once, written in one form."""

import re
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from scidata.errors import InvalidError, NotFoundError, Problem
from scidata.record import (
    Record,
    check_record,
    load_record,
    parse_record,
    record_schema,
    record_yaml,
)
from scidata.record.safe_yaml import MAX_BYTES, read_yaml, write_yaml
from scidata.record.scaffold import scaffold
from scidata.testing import strategies

RECORDS = Path(__file__).parent / "data" / "records"
GOOD = sorted((RECORDS / "good").glob("*.yaml"))
BAD = sorted((RECORDS / "bad").glob("*.yaml"))
FOUNDING = sorted(path.name for path in Path(str(files("scidata") / "metadata")).glob("*.yaml"))

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False,
    allow_infinity=False) | strategies.texts() | st.sampled_from(
        ["", "no", "1", "1e5", "012", "0x1f", "2024-01-01", "null", "~", "true", "1_000", "=",
         "<<", "[a]", "- a", "#", "a: b", "'", '"', "\n", " ", "12:30:45", "\u2028"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(strategies.lines(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip

marks = [
    "#",
    "- a",
    "a:",
    "'",
    '"',
    ":",
    "-",
    ">",
    "|",
    "&a",
    "*a",
    "!b",
    "%",
    "@",
    "`",
    "{",
    "[",
]
marks += ["\u00a0", "\u2003", "\u2028", "\ufeff"]
long_lines = st.lists(strategies.words() | st.sampled_from(marks), min_size=20, max_size=40)
blocks = st.lists(
    long_lines.map(" ".join) | st.sampled_from(["", "  x", "\tx", "y"]), min_size=1
)


def every_field() -> dict[str, Any]:  # Any: YAML at the edge
    fields: dict[str, Any] = yaml.safe_load(
        (RECORDS / "good" / "every_field.yaml").read_bytes()
    )
    return fields


def errors_of(data: bytes) -> list[Problem]:
    _, problems = check_record(data, where="record.yaml")
    return [problem for problem in problems if problem.severity == "error"]


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_good_record_has_no_error_and_survives_the_round_trip(path: Path) -> None:
    record = load_record(path)
    assert errors_of(path.read_bytes()) == []
    assert parse_record(record_yaml(record), where="") == record


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_record_has_exactly_the_problem_in_its_name(path: Path) -> None:
    place = path.read_bytes().split(b"\n")[0].decode("ascii").removeprefix("# ")
    record, problems = check_record(path.read_bytes(), where=path.name)
    found = [(p.code, p.path) for p in problems if p.severity == "error"]
    assert found == [(path.stem.removeprefix("E_"), place)]
    assert record is None
    assert all(problem.message and problem.fix for problem in problems)
    with pytest.raises(InvalidError):
        load_record(path)


BUILT = (
    "candle-uno-",
    "cloudmask-aatsr",
    "cloudmask-landsat8",
    "cloudmask-mini",
    "stemdl-mini",
    "stemdl-reconstruction-mini",
    "tevolop-mini",
)


@pytest.mark.parametrize("name", FOUNDING)
def test_the_records_of_the_founding_datasets_have_no_error(name: str) -> None:
    data = (files("scidata") / "metadata" / name).read_bytes()
    record = parse_record(data, where=name)
    assert f"{record.id}.yaml" == name
    assert parse_record(record_yaml(record), where="") == record
    # Each says where the published original lies, or else from what it is built.
    assert record.originals or name.startswith(BUILT)
    assert all(original.checksums.startswith("none published") for original in record.originals)
    # Each says what is real or simulated, and what a score may not be used for.
    assert record.real_note or record.synthetic_note
    assert any("may not be" in text for text in record.out_of_scope)


def test_every_founding_dataset_has_its_record() -> None:
    assert [name.removesuffix(".yaml") for name in FOUNDING] == [
        "candle-uno-ccle",
        "candle-uno-ctrp-gdsc",
        "candle-uno-gdsc2",
        "candle-uno-mini",
        "candle-uno-pairs-mini",
        "candle-uno",
        "cloudmask-aatsr",
        "cloudmask-landsat8",
        "cloudmask-mini",
        "cloudmask",
        "stemdl-classification",
        "stemdl-mini",
        "stemdl-reconstruction-mini",
        "stemdl-reconstruction",
        "tevolop-mini",
        "tevolop",
    ]


def test_ten_mistakes_are_ten_problems_in_one_run() -> None:
    fields = every_field()
    fields["id"] = "Waves"
    fields["creators"][0]["orcid"] = "0000-0002-1825-0098"
    fields["creators"][0]["affiliations"][0]["ror"] = "01ggx4158"
    fields["license"] = "CC-BY-99"
    fields["contact"]["email"] = "nobody"
    fields["created"] = "yesterday"
    fields["temporal"] = {"start": "2024", "end": "2023"}
    fields["relations"][0]["type"] = "derivedfrom"
    fields["digest"] = "sha256:0"
    fields["originals"][0]["anonymus"] = True
    assert [(p.code, p.path) for p in errors_of(write_yaml(fields))] == [
        ("id-form", "id"),
        ("orcid-check-digit", "creators[0].orcid"),
        ("ror-check-digit", "creators[0].affiliations[0].ror"),
        ("email-form", "contact.email"),
        ("spdx-unknown", "license"),
        ("date-order", "temporal.end"),
        ("date-form", "created"),
        ("relation-type-unknown", "relations[0].type"),
        ("unknown-field", "originals[0].anonymus"),
        ("computed", "digest"),
    ]


def test_an_unknown_field_names_the_one_that_was_meant() -> None:
    fields = every_field()
    fields["provenance"]["sources"][0]["acessed"] = "2024-01-01"
    (problem,) = errors_of(write_yaml(fields))
    assert problem.path == "provenance.sources[0].acessed"
    assert problem.fix == "write accessed"


@pytest.mark.parametrize("name", ["version", "doi", "issued", "digest", "files", "landing"])
def test_a_fact_that_can_be_computed_is_no_field(name: str) -> None:
    (problem,) = errors_of(write_yaml(every_field() | {name: "1.0.0"}))
    assert problem.code == "computed"
    assert "'1.0.0'" in problem.message
    assert problem.fix.startswith("remove this line: ")


@pytest.mark.parametrize("name", ["dtype", "shape", "dims"])
def test_the_type_and_shape_of_a_variable_are_no_fields(name: str) -> None:
    fields = every_field()
    fields["variables"][0][name] = "float32"
    (problem,) = errors_of(write_yaml(fields))
    assert (problem.code, problem.path) == ("computed", f"variables[0].{name}")


def test_what_is_recommended_and_missing_is_a_warning_and_does_not_fail() -> None:
    data = (RECORDS / "good" / "mandatory_only.yaml").read_bytes()
    record, problems = check_record(data, where="")
    assert record is not None
    assert {problem.severity for problem in problems} == {"warning"}
    assert [problem.path for problem in problems] == [
        "methods",
        "created",
        "subjects",
        "variables",
        "relations",
        "funding",
        "provenance",
        "limitations",
        "conforms_to",
        "publisher.ror",
    ]


def test_warnings_are_said_beside_errors() -> None:
    fields = every_field()
    del fields["methods"], fields["contact"]
    _, problems = check_record(write_yaml(fields), where="")
    assert [(p.severity, p.path) for p in problems] == [
        ("error", "contact"),
        ("warning", "methods"),
    ]


def test_a_person_without_orcid_is_a_warning() -> None:
    fields = every_field()
    del fields["creators"][0]["orcid"]
    _, problems = check_record(write_yaml(fields), where="")
    assert [(p.severity, p.path) for p in problems] == [("warning", "creators[0].orcid")]


def test_the_error_of_a_record_carries_every_problem_and_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "record.yaml"
    path.write_bytes(write_yaml(every_field() | {"id": "A", "title": "T."}))
    with pytest.raises(InvalidError, match="2 problems") as error:
        load_record(path)
    assert error.value.where == str(path)
    assert [problem.path for problem in error.value.problems] == ["id", "title"]


@pytest.mark.parametrize("name", ["absent.yaml", "."])
def test_a_record_that_is_not_there_is_not_found(name: str, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no record"):
        load_record(tmp_path / name)


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "record.yaml"
    with path.open("wb") as file:
        file.truncate(10 * 2**30)  # sparse: reading it all would not fit into memory
    with pytest.raises(InvalidError) as error:
        load_record(path)
    assert [problem.code for problem in error.value.problems] == ["yaml-size"]


def test_a_bomb_of_aliases_is_not_expanded() -> None:
    layers = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    layers += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 60)]
    began = time.perf_counter()
    record, problems = check_record("\n".join(layers).encode(), where="")
    assert record is None
    assert {"yaml-alias", "yaml-anchor"} <= {problem.code for problem in problems}
    assert time.perf_counter() - began < 5


def test_a_million_brackets_are_refused_quickly() -> None:
    began = time.perf_counter()
    with pytest.raises(InvalidError):
        read_yaml(b"[" * (MAX_BYTES - 1), where="")
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"~",
        b"text",
        b"\xff\xfe",
        b"\x00",
        b"%YAML 9.9\n---\na: 1",
        b"a:\n\tb: 1",
        b"{",
        b"? a",
    ],
)
def test_bytes_that_are_no_record_give_problems_and_no_traceback(data: bytes) -> None:
    record, problems = check_record(data, where="record.yaml")
    assert record is None
    assert problems


@given(st.binary(max_size=200))
def test_any_bytes_give_problems_and_no_traceback(data: bytes) -> None:
    record, problems = check_record(data, where="record.yaml")
    assert record is None
    assert problems


@given(values)
def test_yaml_reads_what_it_wrote(value: Any) -> None:  # Any: YAML at the edge
    assert read_yaml(write_yaml({"value": value}), where="") == ({"value": value}, ())


@given(blocks.map("\n".join).map(str.strip))
def test_long_text_of_any_marks_survives_its_folding(text: str) -> None:
    fields = {"text": text, "list": [{"text": text}]}
    assert read_yaml(write_yaml(fields), where="") == (fields, ())


@given(strategies.records())
@settings(max_examples=50)
def test_a_record_survives_the_round_trip(record: Record) -> None:
    data = record_yaml(record)
    assert parse_record(data, where="") == record
    assert record_yaml(parse_record(data, where="")) == data


@given(strategies.record_fields(), st.data())
@settings(max_examples=50)
def test_a_removed_field_gives_one_missing_or_no_error(
    fields: dict[str, Any],  # Any: YAML at the edge
    data: st.DataObject,
) -> None:
    name = data.draw(st.sampled_from(sorted(fields)))
    del fields[name]
    required = Record.model_fields[name].is_required()
    found = [(p.code, p.path) for p in errors_of(write_yaml(fields))]
    assert found == ([("missing", name)] if required else [])


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_the_schema_for_editors_accepts_good_records(path: Path) -> None:
    schema = record_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    value, _ = read_yaml(path.read_bytes(), where="")
    jsonschema.validate(value, schema)


def test_the_schema_for_editors_refuses_what_is_computed_and_what_is_misspelt() -> None:
    validator = jsonschema.Draft202012Validator(record_schema())
    assert not validator.is_valid(every_field() | {"digest": "sha256:0"})
    assert not validator.is_valid(every_field() | {"keywords": []})
    assert not validator.is_valid(every_field() | {"access": "public"})


def test_the_only_problems_of_a_new_record_are_what_is_to_be_filled_in() -> None:
    data = scaffold("waves", path=Path("waves/record.yaml"))
    _, problems = check_record(data, where="")
    assert {problem.code for problem in problems} == {"to-fill-in"}
    assert len(problems) == data.decode().count('"<') + data.decode().count("  <")


def test_a_new_record_that_is_filled_in_has_no_problem() -> None:
    text = scaffold("waves", path=Path("waves/record.yaml")).decode()
    filled = {
        "<abstract>": "Heights of waves, measured every second for one day at a buoy.",
        "<0000-0000-0000-0000>": "0000-0002-1825-0097",
        "<nine characters from ror.org>": "01ggx4157",
        "<name@domain>": "josiah@example.org",
        "<SPDX id>": "CC-BY-4.0",
        "<date>": "2024-05-01",
        "<https://…>": "https://example.org",
        "<relationType>": "References",
        "<10.1234/suffix>": "10.5072/logs",
        "<JournalArticle, Dataset, Software, …>": "Dataset",
    }
    for placeholder, value in filled.items():
        text = text.replace(placeholder, value)
    # What is left is free text: the words inside the brackets will do.
    text = re.sub(r"<([^<>]*)>", r"\1", text)
    assert check_record(text.encode(), where="")[1] == ()

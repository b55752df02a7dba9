"""The FAIR score: each rule can be met and lost, and says how to get what is lost."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from scidata.cli import main
from scidata.errors import InvalidError, NotFoundError
from scidata.fair import RULES, Evidence, assess, judge
from scidata.fair.evidence import forms_of
from scidata.fair.rules import PRINCIPLES
from scidata.formats.media import UNKNOWN
from scidata.record import Record
from scidata.reservation import KnownDoi, Reservation, kept_bytes, reservation_key
from scidata.storage import open_store
from tests.records import full_record, subject_of
from tests.versions import write_version

Spoil = Callable[[Evidence], Evidence]
ANSWERED = [rule.key for rule in RULES if rule.lacks is not None]
DOI = KnownDoi(doi="10.5072/scidata.tiny.v1.0.0", concept="10.5072/scidata.tiny", findable=True)


def evidence_of(record: Record) -> Evidence:
    subject = subject_of(record, doi=DOI.doi)
    return Evidence(
        name="tiny@1.0.0",
        record=record,
        has=frozenset({"record", "data", "version"}),
        assets=tuple(
            a.model_copy(update={"media_type": "application/x-hdf5"})
            if a.media_type == UNKNOWN
            else a
            for a in subject.facts.assets
        ),
        forms=forms_of(subject),
        statistics=True,
        doi=DOI,
        again="publish the next version",
        options="--store s",
    )


def best_record(**changes: Any) -> Record:  # Any: YAML at the edge
    fields: dict[str, Any] = {
        "license": "CC-BY-4.0",
        "contributors": [],
        "keywords": ["waves", "tests", "sea"],
        "variables": [
            {"name": "wave", "description": "A wave.", "standard_name": "wave"},
            {"name": "depth", "description": "How deep."},
            {"name": "time", "description": "When, a label of a dimension."},
        ],
        "provenance": {
            "sources": [{"title": "Raw waves", "doi": "10.1234/raw", "license": "CC0-1.0"}],
            "software": [{"name": "scidata", "version": "0.1.0"}],
            "steps": [{"activity": "Compute sine waves"}],
        },
    }
    return full_record(**{**fields, **changes})


@pytest.fixture(scope="module")
def best() -> Evidence:
    return evidence_of(best_record())


def record(**changes: Any) -> Spoil:  # Any: YAML at the edge
    return lambda _: evidence_of(best_record(**changes))


def model(**changes: Any) -> Spoil:  # Any: fields of a record
    """Change a record to what YAML of the samples cannot say."""

    def spoil(evidence: Evidence) -> Evidence:
        return replace(evidence, record=evidence.record.model_copy(update=changes))

    return spoil


def form(name: str, member: str, value: object = None) -> Spoil:
    """Change a form to what scidata never writes: the rule looks at the form all the same."""

    def spoil(evidence: Evidence) -> Evidence:
        document = {**evidence.forms[name], member: value}
        return replace(evidence, forms={**evidence.forms, name: document})

    return spoil


def file(member: str) -> Spoil:
    def spoil(evidence: Evidence) -> Evidence:
        document = json.loads(json.dumps(evidence.forms["schemaorg"]))
        del document["distribution"][0][member]
        return replace(evidence, forms={**evidence.forms, "schemaorg": document})

    return spoil


def asset(**changes: Any) -> Spoil:  # Any: fields of an asset
    def spoil(evidence: Evidence) -> Evidence:
        first, *others = evidence.assets
        return replace(evidence, assets=(first.model_copy(update=changes), *others))

    return spoil


def without_provenance(evidence: Evidence) -> Evidence:
    document = dict(evidence.forms["dcat"])
    del document["prov:wasGeneratedBy"], document["prov:wasDerivedFrom"]
    return replace(evidence, forms={**evidence.forms, "dcat": document})


PERSON = {"given": "Josiah", "family": "Carberry"}
SOURCE = {"title": "Raw waves", "url": "https://example.org/raw"}
STEPS = {"steps": [{"activity": "Compute"}], "software": [{"name": "x", "version": "1"}]}
SPOILED: dict[str, Spoil] = {
    "F1-doi": lambda e: replace(e, doi=None),
    "F1-findable": lambda e: replace(e, doi=replace(DOI, findable=False)),
    "F2-core": form("schemaorg", "publisher"),
    "F2-orcid": record(creators=[PERSON]),
    "F2-ror": record(publisher={"name": "CERN"}),
    "F2-keywords": record(keywords=["waves", "sea"]),
    "F2-methods": model(methods=None),
    "F2-variables": model(variables=()),
    "F3-address": file("contentUrl"),
    "F3-digest": form("datacite", "alternateIdentifiers", []),
    "A1-access": form("schemaorg", "conditionsOfAccess", "https://example.org/terms"),
    "I1-graph": form("dcat", "@context"),
    "I2-terms": model(subjects=(), variables=()),
    "I2-standard-names": model(variables=()),
    "I3-relations": record(relations=[], provenance=STEPS),
    "I3-persistent": record(
        relations=[{"type": "Cites", "id": "https://example.org/a", "kind": "Text"}],
        provenance={**STEPS, "sources": [SOURCE]},
    ),
    "R1-files": file("contentSize"),
    "R1-units": record(
        variables=[
            {"name": "wave", "description": "A wave."},
            {"name": "elsewhere", "description": "In files."},
        ]
    ),
    "R1-statistics": lambda e: replace(e, statistics=False),
    "R1-splits": model(splits=()),
    "R1-limitations": model(limitations=()),
    "R1.1-licence": form("schemaorg", "license", "ask us"),
    "R1.1-spdx": record(license={"name": "Terms", "url": "https://example.org/terms"}),
    "R1.1-sources": record(provenance={**STEPS, "sources": [SOURCE]}),
    "R1.2-provenance": without_provenance,
    "R1.2-steps": record(provenance={"software": STEPS["software"]}),
    "R1.2-software": record(provenance={**STEPS, "software": [{"name": "x"}]}),
    "R1.2-created": model(created=None),
    "R1.2-funding": model(funding=()),
    "R1.3-standard": form("datacite", "schemaVersion"),
    "R1.3-format": asset(media_type=UNKNOWN),
    "R1.3-conforms": model(conforms_to=()),
}


def test_a_version_with_everything_loses_nothing(best: Evidence) -> None:
    found = judge(best)
    assert [(o.rule.key, o.finding) for o in found.lost] == []
    assert found.score == 100
    assert {o.rule.key for o in found.unknown} == {r.key for r in RULES} - set(ANSWERED)


@pytest.mark.parametrize("key", ANSWERED)
def test_each_rule_can_be_lost_and_says_what_to_do(key: str, best: Evidence) -> None:
    lost = {o.rule.key: o for o in judge(SPOILED[key](best)).lost}
    assert key in lost
    assert lost[key].finding
    assert re.search(r"\w{3}", lost[key].remedy)
    assert "{name}" not in lost[key].remedy
    assert judge(SPOILED[key](best)).score < 100


def test_there_is_a_way_to_lose_each_rule_and_a_field_for_each_of_the_record() -> None:
    assert set(SPOILED) == set(ANSWERED)
    fields = set(Record.model_fields)
    for rule in RULES:
        for name in filter(None, re.split(r", | or ", rule.field)):
            assert re.split(r"[.\[]", name)[0] in fields, rule.key


def test_the_metrics_of_the_public_assessor_are_all_answered_with_its_points() -> None:
    # F-UJI 3.5.1, metrics v0.8: 17 metrics, 26 points.
    points: dict[str, int] = {}
    for rule in RULES:
        if rule.metric:
            points[rule.metric] = points.get(rule.metric, 0) + rule.points
    assert (len(points), sum(points.values())) == (17, 26)
    assert {rule.principle for rule in RULES} == set(PRINCIPLES)
    assert len({rule.key for rule in RULES}) == len(RULES)


def test_what_only_a_site_can_show_is_unknown_whatever_the_data(best: Evidence) -> None:
    unknown = judge(best).unknown
    assert {o.finding for o in unknown} == {"only a published site shows it"}
    metrics = {o.rule.metric for o in unknown}
    assert {"FsF-F4-01M", "FsF-A1-02MD", "FsF-A1.1-01MD", "FsF-A1.2-01MD"} <= metrics


def test_a_record_alone_is_not_scored_by_what_only_data_show(staged: Path) -> None:
    alone, whole = assess(staged / "record.yaml"), assess(staged)
    assert alone.points("unknown") > whole.points("unknown")
    assert {o.finding for o in alone.unknown} == {
        "only a published site shows it",
        "there are no data",
        "it is not published",
    }
    keys = {o.rule.key for o in whole.unknown}
    assert {"F1-doi", "F1-findable", "F3-digest"} <= keys


def test_a_staged_dataset_and_its_version_lose_the_same_points(
    staged: Path, tmp_path: Path
) -> None:
    store = open_store(tmp_path / "store")
    commit = write_version(store, staged)
    version = assess("tiny@1.0.0", store)
    lost = {o.rule.key for o in assess(staged).lost}
    assert {o.rule.key for o in version.lost} == lost | {"F1-doi", "F1-findable"}
    reserved = Reservation(
        dataset="tiny",
        version="1.0.0",
        digest=commit.digest,
        doi=DOI.doi,
        concept=DOI.concept,
        api="https://api.example.org",
        by="somebody",
        date="2026-01-02T03:04:05Z",
    )
    store.create(reservation_key("tiny", "1.0.0"), kept_bytes(reserved))
    found = {o.rule.key: o for o in assess("tiny@1.0.0", store).lost}
    assert set(found) == lost | {"F1-findable"}
    assert "scidata doi update tiny@1.0.0 --record FILE" in found["R1.2-funding"].remedy
    named = replace(
        evidence_of(best_record(license={"name": "T", "url": "https://example.org/t"})),
        correct="correct it",
    )
    (licence,) = judge(named).lost
    assert licence.remedy.endswith("then publish the next version")


def test_no_byte_of_a_staged_dataset_is_hashed(
    staged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scidata.measure.hash_and_cut", lambda *_, **__: pytest.fail("hashed"))
    assert assess(staged).score > 0


def test_a_record_with_errors_is_not_scored(staged: Path) -> None:
    file = staged / "record.yaml"
    fields = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**fields, "license": "CC-BY-99"}))
    with pytest.raises(InvalidError, match="has 1 problem"):
        assess(staged)
    with pytest.raises(NotFoundError):
        assess("absent@1.0.0", open_store(staged.parent / "store"))


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        main(list(map(str, arguments)))
    assert isinstance(end.value.code, int)
    return end.value.code


def test_a_low_score_fails_only_where_more_was_asked(
    staged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", staged, "--fair") == 0
    text = capsys.readouterr().out
    assert re.search(r"^-1 F2-keywords: 2 of 3 keywords$", text, re.MULTILINE)
    assert run("check", staged, "--fair", "--at-least", 100) == 4
    assert "the score is below 100 %" in capsys.readouterr().err
    assert run("check", staged, "--fair", "--at-least", 1, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "scidata-check-fair/1"
    assert document["passed"]
    assert {rule["state"] for rule in document["rules"]} == {"met", "lost", "unknown"}
    assert run("check", staged, "--at-least", 1) == 2
    assert run("check", "tiny", "--store", staged) == 2
    assert run("check", "nowhere.yaml", "--fair", "--store", staged) == 3
    assert "there is no record 'nowhere.yaml'" in capsys.readouterr().err

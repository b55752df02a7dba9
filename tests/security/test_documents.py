"""Attack: YAML and JSON that build objects, repeat themselves, nest for ever or never end.

Promise: a document is judged within seconds and within its limits; nothing in it is expanded,
constructed or called, and whatever is wrong with it is one of scidata's errors.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import scidata
from scidata.bag import read_bag
from scidata.errors import InvalidError, ScidataError
from scidata.record import parse_record
from scidata.record.safe_yaml import MAX_BYTES, MAX_KEY, MAX_NODES, read_yaml
from scidata.resolve import list_datasets, resolve
from scidata.storage import open_store
from tests.security.attack import run
from tests.servers import folder_server
from tests.versions import write_version

LAUGHS = "a: &a [lol, lol]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(20)
)
YAML: dict[str, str] = {
    "billion laughs": LAUGHS,
    "an alias of itself": "a: &a [*a]",
    "merged keys": "a: &a {x: 1}\nb: {<<: *a}",
    "a call": "!!python/object/apply:os.system ['touch hacked']",
    "an object": "a: !!python/object:os.environ {}",
    "a new object": "a: !!python/object/new:os.system ['touch hacked']",
    "a module": "a: !!python/module:os",
    "a name": "a: !!python/name:os.system",
    "binary": "a: !!binary aGVsbG8=",
    "a set": "a: !!set {x}",
    "lists in lists": "[" * 100_000,
    "mappings in mappings": "{a: " * 100_000,
    "dashes in dashes": "- " * 100_000,
    "a long key": f"? {'k' * (MAX_KEY + 1)}\n: 1",
    "a key of a megabyte with children": f"? {'k' * 500_000}\n: [{'a,' * 200_000}]",
    "a list as key": "? [a, b]\n: 1",
    "the same key for ever": "a: 1\n" * 150_000,
    "anchors for ever": "- &a 1\n" * 120_000,
    "documents for ever": "---\n" * 200_000,
    "bytes that are no text": "\ud800",
    "control characters": "a: \x07",
}


@pytest.mark.parametrize("text", YAML.values(), ids=YAML)
def test_a_hostile_record_is_refused_in_seconds(text: str, tmp_path: Path) -> None:
    began = time.monotonic()
    data = text.encode("utf-8", "surrogatepass")
    assert len(data) <= MAX_BYTES
    with pytest.raises(InvalidError) as caught:
        parse_record(data, where=str(tmp_path / "record.yaml"))
    assert time.monotonic() - began < 10
    assert len(str(caught.value)) < 2000
    assert not list(tmp_path.rglob("hacked"))


def test_a_document_of_millions_of_values_is_given_up() -> None:
    began = time.monotonic()
    text = b"[" + b"1," * (MAX_NODES + 1) + b"]"
    with pytest.raises(InvalidError, match="more than 2000000 values"):
        read_yaml(text, where="x", limit=len(text))
    assert time.monotonic() - began < 30


NESTED = b'{"links": ' + b"[" * 200_000
JSON: dict[str, bytes] = {
    "nested": NESTED,
    "objects in objects": b'{"a":' * 200_000,
    "no JSON": b"\xff\xfe",
    "a number too long for Python": b'{"links": ' + b"9" * 10_000 + b"}",
    "another kind": b"[]",
    "a text": b'"x"',
    "infinity": b'{"links": Infinity}',
    "empty": b"",
}


@pytest.mark.parametrize("data", JSON.values(), ids=JSON)
def test_hostile_json_of_a_store_on_the_web_is_refused_or_says_nothing(
    data: bytes, tmp_path: Path
) -> None:
    (tmp_path / "catalog.json").write_bytes(data)
    with folder_server(tmp_path) as url:
        try:
            assert list_datasets(open_store(url)) == ()
        except ScidataError as error:
            assert len(str(error)) < 2000  # noqa: PT017 - either is fine


@pytest.mark.parametrize("data", JSON.values(), ids=JSON)
def test_hostile_json_of_a_bag_is_refused_or_says_nothing(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta/facts.json").write_bytes(data)
    (tmp_path / "manifest-sha256.txt").write_bytes(b"")
    assert read_bag(tmp_path).name == ""


@pytest.mark.parametrize("data", JSON.values(), ids=JSON)
def test_hostile_json_of_a_version_is_one_of_our_errors(
    data: bytes, staged: Path, tmp_path: Path
) -> None:
    (staged / "data/statistics.json").write_bytes(data)
    store = open_store(tmp_path / "store")
    write_version(store, staged)
    with pytest.raises(ScidataError):
        scidata.open("tiny@1.0.0", store=store).statistics()
    store.replace("tiny/versions/1.0.0.json", data)
    with pytest.raises(ScidataError):
        resolve("tiny@1.0.0", store)


def nodes(change: Callable[[dict[str, object]], object]) -> bytes:
    document: dict[str, object] = {"links": []}
    change(document)
    return json.dumps(document).encode()


def test_a_catalog_on_the_web_of_a_million_links_names_only_datasets(tmp_path: Path) -> None:
    hostile = [
        "../../x/collection.json",
        "file:///etc/collection.json",
        "a\x1b/collection.json",
    ]
    links = [{"rel": "child", "href": href} for href in hostile]
    links += [{"rel": "child", "href": "./tiny/collection.json"}] * 200_000
    (tmp_path / "catalog.json").write_bytes(nodes(lambda d: d.update(links=links)))
    began = time.monotonic()
    with folder_server(tmp_path) as url:
        assert list_datasets(open_store(url)) == ()
    assert time.monotonic() - began < 10


if __name__ == "__main__":
    run(__file__)

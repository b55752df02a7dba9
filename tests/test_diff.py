"""What changed between two versions or folders."""

import json
import shutil
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from scidata.diff import Changed, Side, compare, diff
from scidata.digest import Digest
from scidata.errors import InvalidError, NotFoundError
from scidata.facts import Facts
from scidata.manifest import Manifest
from scidata.publishing import PublishOptions, publish
from scidata.storage.memory import MemoryStore
from tests.damage import command


@pytest.fixture
def changed(staged: Path, tmp_path: Path) -> Path:
    """The tiny dataset with more rows, another shape, a note added, a part renamed."""
    folder = tmp_path / "changed"
    shutil.copytree(staged, folder)
    table = pd.read_parquet(folder / "data/table.parquet")
    more = pd.concat([table, table.assign(sample="9999")[:2]])
    more.to_parquet(folder / "data/table.parquet", index=False)
    group = zarr.open_group(str(folder / "data/array.zarr"), mode="r+", use_consolidated=False)
    number = group["sample"]
    assert isinstance(number, zarr.Array)
    number.resize((30,))
    number[24:] = np.arange(24, 30)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=UserWarning)
        zarr.consolidate_metadata(str(folder / "data/array.zarr"))
    statistics = json.loads((folder / "data/statistics.json").read_text())
    statistics["assets"]["array"]["variables"]["wave"]["mean"] = 42.0
    (folder / "data/statistics.json").write_text(json.dumps(statistics))
    (folder / "data/notes.txt").write_text("new\n")
    return folder


def test_files_and_what_the_assets_say_are_compared_by_name_or_in_folders(
    staged: Path, changed: Path, tmp_path: Path
) -> None:
    parts = changed / "data/splits/sample"
    (parts / "validation.txt").rename(parts / "held-out.txt")
    found = diff(staged, changed)
    assert found.added == ("data/array.zarr/sample/c/1", "data/notes.txt")
    assert found.removed == ()
    assert "data/table.parquet" in found.changed
    (renamed,) = found.renamed
    assert (renamed.before, renamed.after) == (
        "data/splits/sample/validation.txt",
        "data/splits/sample/held-out.txt",
    )
    said = {(c.asset, c.variable, c.what, str(c.before), str(c.after)) for c in found.assets}
    assert ("notes", None, "kind", "None", "file") in said
    assert ("array", "sample", "shape", "[24]", "[30]") in said
    assert ("table", "frequency", "shape", "[24]", "[26]") in said
    assert ("array", "wave", "statistics.mean") in {item[:3] for item in said}


def test_versions_differ_as_the_folders_they_were_published_from(
    staged: Path, changed: Path, tmp_path: Path
) -> None:
    shutil.rmtree(changed / "data/array.zarr")
    shutil.copytree(staged / "data/array.zarr", changed / "data/array.zarr")
    store = tmp_path / "store"
    publish(staged, store, version="1.0.0")
    publish(changed, store, version="1.1.0", options=PublishOptions(layout="delta"))
    by_name, by_folder = diff("tiny@1.0.0", "tiny@1.1.0", store), diff(staged, changed)
    assert (by_name.before, by_name.after) == ("tiny@1.0.0", "tiny@1.1.0")
    for field in ("added", "removed", "changed", "renamed", "unchanged", "new_bytes", "assets"):
        assert getattr(by_name, field) == getattr(by_folder, field), field
    assert diff("tiny@1.1.0", changed, store).same


def test_what_is_neither_a_folder_nor_a_version_is_not_found(staged: Path) -> None:
    with pytest.raises(NotFoundError, match="no folder"):
        diff(staged, Path("nowhere"))
    with pytest.raises(NotFoundError, match="no folder"):
        diff(staged, "./nowhere")
    with pytest.raises(
        NotFoundError, match="'nowhere' is no folder here, and the store"
    ) as said:
        diff(staged, "nowhere", MemoryStore())
    assert said.value.fix.startswith("give an existing folder; if a version is meant: ")
    with pytest.raises(InvalidError, match="holds no folder data"):
        diff(staged, staged / "data")


def test_the_command_prints_words_and_json(staged: Path, changed: Path) -> None:
    words = subprocess.run(
        command("diff", staged, changed), capture_output=True, text=True, check=True
    )
    assert "added    2 files" in words.stdout
    assert "array sample: shape [24] -> [30]" in words.stdout
    done = subprocess.run(
        command("diff", staged, changed, "--json"), capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert (found["schema"], found["same"]) == ("scidata-diff/1", False)
    assert found["assets"][0].keys() == {"asset", "variable", "what", "before", "after"}


_TREES = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from([b"", b"1", b"22"]))


def side(tree: dict[str, bytes]) -> Side:
    files = {f"data/{name}": data for name, data in tree.items()}
    manifest = Manifest({path: Digest.of(data) for path, data in files.items()})
    facts = Facts(
        dataset="some",
        version="1.0.0",
        digest=str(manifest.digest),
        files=len(files),
        bytes=0,
        created="",
        assets=(),
    )
    sizes = {path: len(data) for path, data in files.items()}
    return Side(name="", manifest=manifest, sizes=sizes, facts=facts, statistics={})


@given(before=_TREES, after=_TREES)
def test_applying_a_difference_to_one_side_gives_the_other(
    before: dict[str, bytes], after: dict[str, bytes]
) -> None:
    found = compare(side(before), side(after))
    tree = {f"data/{name}": data for name, data in before.items()}
    goal = {f"data/{name}": data for name, data in after.items()}
    for item in found.renamed:
        tree[item.after] = tree.pop(item.before)
    for path in found.removed:
        del tree[path]
    for path in (*found.added, *found.changed):
        tree[path] = goal[path]
    assert tree == goal
    assert found.same == (before == after)
    assert compare(side(after), side(before)).new_bytes == found.gone_bytes
    kinds: tuple[Changed, ...] = found.assets
    assert kinds == ()

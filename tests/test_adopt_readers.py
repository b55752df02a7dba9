"""Adopted versions are read, streamed, copied and described as others are."""

import hashlib
import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch

import scidata
from scidata.errors import (
    IntegrityError,
)
from scidata.publishing import PublishOptions
from scidata.storage import open_store
from tests.adopted import PATCH, adopt_scenes, adopted, flipped, write_record
from tests.scenes import read_scene, write_scenes
from tests.servers import create_bucket, http_put

pytestmark = [
    pytest.mark.filterwarnings("ignore:Numcodecs codecs:UserWarning"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]


def test_an_adopted_version_opens_as_one_dataset(tmp_path: Path) -> None:
    store, files = adopted(tmp_path)
    opened = scidata.open("scenes", store).to_xarray("scenes")
    for number, path in enumerate(files):
        assert np.array_equal(opened.refs[number].values, read_scene(path, "refs"))
    assert opened.scene.values.tolist() == [f.stem for f in files]


def test_a_pulled_copy_is_a_whole_bag(tmp_path: Path) -> None:
    import bagit

    store, files = adopted(tmp_path)
    scidata.pull("scenes@1.0.0", tmp_path / "copy", store)
    assert scidata.verify(tmp_path / "copy", store).damage == ()
    assert bagit.Bag(str(tmp_path / "copy")).is_valid()
    assert (tmp_path / "copy" / "data" / "scenes" / files[1].name).read_bytes() == files[
        1
    ].read_bytes()


def test_fetch_txt_serves_those_who_have_no_scidata(
    tmp_path: Path, http_folder: tuple[str, Path]
) -> None:
    url, folder = http_folder
    files = write_scenes(folder / "with blank", 2)
    (folder / "with blank" / "index.txt").write_text("".join(f"{f.name}\n" for f in files))
    store = tmp_path / "store"
    adopt_scenes(f"{url}/with%20blank/", store, write_record(tmp_path / "record"))
    bag = store / "scenes" / "v1.0.0"
    for line in (bag / "fetch.txt").read_text().splitlines():
        address, size, path = line.split(" ", 2)
        with urllib.request.urlopen(address) as answer:  # noqa: S310 - loopback
            data = answer.read()
        assert len(data) == int(size)
        (bag / path).parent.mkdir(parents=True, exist_ok=True)
        (bag / path).write_bytes(data)
    done = subprocess.run(
        ["sha256sum", "--quiet", "-c", "manifest-sha256.txt"], cwd=bag, check=False
    )
    assert done.returncode == 0


def test_random_patches_of_fifty_scenes_stream_as_h5py_reads_them(tmp_path: Path) -> None:
    files = write_scenes(tmp_path / "source", 50)
    adopt_scenes(
        str(tmp_path / "source"), tmp_path / "store", write_record(tmp_path / "record", 50)
    )
    stream = scidata.open("scenes", tmp_path / "store").stream(
        batch_size=7, shuffle=True, seed=3
    )
    held = {n: [read_scene(f, n) for f in files] for n in ("refs", "bts", "bayes")}
    seen = 0
    for batch in stream:
        for i in range(len(batch["scene"])):
            scene = int(batch["scene"][i])
            row, column = (int(batch[f"phony_dim_{a}"][i]) - PATCH + 1 for a in (0, 1))
            for name, values in held.items():
                patch = values[scene][row : row + PATCH, column : column + PATCH]
                assert torch.equal(batch[name][i], torch.from_numpy(patch)), name
            seen += 1
    assert seen == 100


@pytest.mark.parametrize("verify", [False, True])
def test_scenes_on_the_web_stream_and_can_be_compared(
    tmp_path: Path, http_folder: tuple[str, Path], verify: bool
) -> None:
    url, folder = http_folder
    files = write_scenes(folder, 4)
    (folder / "index.txt").write_text("".join(f"{f.name}\n" for f in files))
    adopt_scenes(url, tmp_path / "store", write_record(tmp_path / "record", 4))
    opened = scidata.open("scenes", tmp_path / "store")
    batches = list(opened.stream(batch_size=4, verify=verify))
    assert sum(len(b["scene"]) for b in batches) == 8
    if verify:
        flipped(files[0])
        with pytest.raises(IntegrityError):
            list(opened.stream(batch_size=4, verify=True))


PLAIN = """
import json, sys, warnings
warnings.simplefilter("ignore")
import intake, numpy as np
catalog = intake.open_catalog(sys.argv[1])
opened = catalog["scenes"].read()
assert not any(name.startswith("scidata") for name in sys.modules), "scidata was imported"
total = float(opened.refs.values.sum(dtype="f8"))
print(json.dumps({"sizes": dict(opened.sizes), "sum": total}))
"""


@pytest.mark.parametrize("place", ["folder", "s3"])
def test_forty_scenes_open_as_one_through_the_catalog_without_scidata(
    tmp_path: Path, s3_url: str, s3_endpoint: str, place: str
) -> None:
    files = write_scenes(tmp_path / "source", 40)
    source, store = str(tmp_path / "source"), str(tmp_path / "store")
    if place == "s3":
        create_bucket(s3_endpoint, "forty")
        for path in files:
            http_put(f"{s3_endpoint}/forty/{path.name}", path.read_bytes())
        source, store = "s3://forty", s3_url
    adopt_scenes(source, store, write_record(tmp_path / "record"))
    catalog = f"{store}/scenes/catalog.yaml"
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, catalog], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["sizes"]["scene"] == 40
    expected = sum(float(read_scene(f, "refs").sum(dtype="f8")) for f in files)
    assert found["sum"] == pytest.approx(expected, rel=1e-9)
    checked = scidata.open_catalog(catalog)["scenes"].read()
    assert np.array_equal(checked.bayes[5].values, read_scene(files[5], "bayes"))


def test_stac_points_at_the_originals_with_their_checksums(tmp_path: Path) -> None:
    import pystac

    store, files = adopted(tmp_path)
    item = pystac.Item.from_file(str(store / "scenes" / "v1.0.0" / "meta" / "item.json"))
    asset = item.assets[f"scenes/{files[0].name}"]
    assert asset.href == files[0].as_uri()
    digest = hashlib.sha256(files[0].read_bytes()).hexdigest()
    assert asset.extra_fields["file:checksum"] == f"1220{digest}"
    assert item.assets["scenes"].href == f"{files[0].parent.as_uri()}/"


def test_a_store_with_an_adopted_version_is_indexed_again(tmp_path: Path) -> None:
    from scidata.index import rebuild

    store, _ = adopted(tmp_path)
    report = rebuild(open_store(store))
    assert report.written == ()
    assert report.damaged == ()


def test_a_mirror_of_an_adopted_version_points_at_the_same_files(tmp_path: Path) -> None:
    from scidata.mirroring import mirror

    store, files = adopted(tmp_path)
    mirror(["scenes"], store, to=tmp_path / "mirror")
    assert not (tmp_path / "mirror" / "scenes" / "v1.0.0" / "data").exists()
    assert scidata.verify("scenes", tmp_path / "mirror").damage == ()
    opened = scidata.open("scenes", tmp_path / "mirror").to_xarray("scenes")
    assert np.array_equal(opened.refs[2].values, read_scene(files[2], "refs"))


def test_repair_leaves_adopted_files_to_those_who_run_their_server(tmp_path: Path) -> None:
    from scidata.repairing import repair

    store, files = adopted(tmp_path)
    scidata.pull("scenes@1.0.0", tmp_path / "copy", store)
    files[0].unlink()
    done = repair("scenes@1.0.0", tmp_path / "copy", store)
    (left,) = done.left
    assert left.path == f"data/scenes/{files[0].name}"
    assert "lies outside the store" in left.reason
    assert not files[0].exists()


def test_nothing_is_inherited_from_files_that_the_store_does_not_hold(tmp_path: Path) -> None:
    import shutil

    store, _ = adopted(tmp_path)
    staged = tmp_path / "staged"
    shutil.copytree(tmp_path / "source", staged / "data" / "scenes")
    shutil.copy(tmp_path / "record" / "record.yaml", staged)
    scidata.publish(staged, store, version="1.1.0", options=PublishOptions(layout="delta"))
    shutil.rmtree(tmp_path / "source")
    assert scidata.verify("scenes@1.1.0", store).damage == ()

"""Adopting: files become a version where they lie, from a folder, S3, the web, or a list."""

import hashlib
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import scidata
from scidata.adopting import AdoptOptions, SourceOptions, plan_adopt
from scidata.errors import (
    ConflictError,
    IntegrityError,
    InvalidError,
    NotFoundError,
    StorageError,
)
from scidata.publishing import PublishOptions
from scidata.storage import open_store
from scidata.version import parse_commit
from tests.adopted import PATCH, adopt_scenes, write_record
from tests.scenes import read_scene, write_scene, write_scenes
from tests.servers import create_bucket, folder_server, http_put

pytestmark = [
    pytest.mark.filterwarnings("ignore:Numcodecs codecs:UserWarning"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]


def adopted(tmp_path: Path, count: int = 3, **options: Any) -> tuple[Path, list[Path]]:
    files = write_scenes(tmp_path / "source", count)
    adopt_scenes(
        str(tmp_path / "source"),
        tmp_path / "store",
        write_record(tmp_path / "record"),
        **options,
    )
    return tmp_path / "store", files


def test_a_folder_becomes_a_version_and_no_byte_of_it_is_copied(tmp_path: Path) -> None:
    store, files = adopted(tmp_path)
    sizes = sum(f.stat().st_size for f in store.rglob("*") if f.is_file())
    assert sizes < sum(f.stat().st_size for f in files)
    assert not (store / "scenes" / "v1.0.0" / "data").exists()
    assert "3 files of this version" in (store / "scenes/v1.0.0/README.md").read_text()
    listed = (store / "scenes" / "v1.0.0" / "manifest-sha256.txt").read_text().splitlines()
    for line, path in zip(listed, files, strict=True):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert line == f"{digest}  data/scenes/{path.name}"
    assert scidata.verify("scenes@1.0.0", store).damage == ()
    assert scidata.verify("scenes@1.0.0", store, fast=True).damage == ()


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


def larger(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, (1e9, 1e9))


@pytest.mark.parametrize("change", [larger, flipped])
def test_a_source_that_changes_afterwards_is_named_by_every_check(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    store, files = adopted(tmp_path)
    change(files[1])
    for fast in (True, False):
        (damage,) = {
            d.path: d for d in scidata.verify("scenes", store, fast=fast).damage
        }.items()
        assert damage[0] == f"data/scenes/{files[1].name}"
        assert damage[1].state == "bad"
    fast_found = scidata.verify("scenes", store, fast=True).damage
    assert any("the source changed" in d.found for d in fast_found)
    with pytest.raises(IntegrityError) as caught:
        scidata.pull("scenes@1.0.0", tmp_path / "copy", store)
    assert [d.path for d in caught.value.damage] == [f"data/scenes/{files[1].name}"]


@pytest.mark.parametrize("fast", [True, False])
def test_a_source_that_vanishes_is_missing(tmp_path: Path, fast: bool) -> None:
    store, files = adopted(tmp_path)
    files[2].unlink()
    (damage,) = scidata.verify("scenes", store, fast=fast).damage
    assert (damage.state, damage.path) == ("missing", f"data/scenes/{files[2].name}")


def test_a_bucket_is_adopted_into_a_folder_and_noticed_when_it_changes(
    tmp_path: Path, s3_url: str, s3_endpoint: str
) -> None:
    files = write_scenes(tmp_path / "local", 3)
    create_bucket(s3_endpoint, "public")
    for path in files:
        http_put(f"{s3_endpoint}/public/in/{path.name}", path.read_bytes())
    for name in ("twofold/a", "twofold/a/b", "odd/a%2520b"):
        http_put(f"{s3_endpoint}/public/{name}", b"")
    store, record = tmp_path / "store", write_record(tmp_path / "record")
    with pytest.raises(InvalidError, match="which is a file, too"):
        adopt_scenes("s3://public/twofold", store, record)
    with pytest.raises(InvalidError, match="contains '%'") as caught:
        adopt_scenes("s3://public/odd", store, record)
    assert "rename it there" in caught.value.fix
    done = adopt_scenes("s3://public/in", store, record)
    assert done.places == ("s3://public/in",)
    assert done.published.commit.outside[0].endpoint == s3_endpoint
    opened = scidata.open("scenes", store).to_xarray("scenes")
    assert np.array_equal(opened.bts[2].values, read_scene(files[2], "bts"))
    assert scidata.verify("scenes", store).damage == ()
    write_scene(files[0], 99)
    open_store("s3://public/in").replace(files[0].name, files[0].read_bytes())
    (damage,) = scidata.verify("scenes", store, fast=True).damage
    assert "the source changed" in damage.found


def test_a_bucket_is_adopted_into_a_bucket(
    tmp_path: Path, s3_url: str, s3_endpoint: str
) -> None:
    files = write_scenes(tmp_path / "local", 2)
    create_bucket(s3_endpoint, "origin")
    for path in files:
        http_put(f"{s3_endpoint}/origin/{path.name}", path.read_bytes())
    adopt_scenes("s3://origin", s3_url, write_record(tmp_path / "record"))
    assert scidata.verify("scenes", s3_url).damage == ()
    scidata.pull("scenes", tmp_path / "copy", s3_url)
    assert scidata.verify(tmp_path / "copy", s3_url).damage == ()


def sums(files: list[Path]) -> str:
    return "".join(f"{hashlib.sha256(f.read_bytes()).hexdigest()}  {f.name}\n" for f in files)


def test_a_web_folder_with_an_index_is_adopted(
    tmp_path: Path, http_folder: tuple[str, Path]
) -> None:
    url, folder = http_folder
    files = write_scenes(folder / "in", 3)
    (folder / "in" / "SHA256SUMS").write_text(sums(files))
    store = tmp_path / "store"
    adopt_scenes(
        f"{url}/in/",
        store,
        write_record(tmp_path / "record"),
        reached=SourceOptions(index="SHA256SUMS"),
        read=False,
    )
    assert scidata.verify("scenes", store).damage == ()
    opened = scidata.open("scenes", store).to_xarray("scenes")
    assert np.array_equal(opened.refs[1].values, read_scene(files[1], "refs"))
    scidata.pull("scenes", tmp_path / "copy", store)
    larger(files[0])
    (damage,) = scidata.verify("scenes", store, fast=True).damage
    assert damage.path.endswith(files[0].name)


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


def test_a_list_of_addresses_with_sizes_and_digests_is_adopted_without_reading(
    tmp_path: Path, http_folder: tuple[str, Path]
) -> None:
    url, folder = http_folder
    files = [*write_scenes(folder / "a", 2), write_scene(folder / "b.hdf", 7)]
    lines = ["# scenes of one orbit"]
    for path in files:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        place = path.relative_to(folder).as_posix()
        lines.append(f"{url}/{place} {path.stat().st_size} {digest}")
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join(lines))
    store = tmp_path / "store"
    record = write_record(tmp_path / "record")
    done = adopt_scenes(str(listed), store, record, listed=True, read=False)
    assert done.places == (url,)
    assert scidata.verify("scenes", store).damage == ()
    opened = scidata.open("scenes", store).to_xarray("scenes")
    assert np.array_equal(opened.refs[2].values, read_scene(files[2], "refs"))


def test_without_reading_a_version_without_digests_is_refused(tmp_path: Path) -> None:
    files = write_scenes(tmp_path / "source", 2)
    with pytest.raises(InvalidError, match="a version cannot be without digests") as caught:
        adopt_scenes(
            str(tmp_path / "source"),
            tmp_path / "store",
            write_record(tmp_path / "record"),
            read=False,
        )
    assert [p.path for p in caught.value.problems] == [f.name for f in files]
    assert not (tmp_path / "store" / "scenes" / "versions").exists()


def test_a_list_that_contradicts_the_bytes_is_refused(
    tmp_path: Path, http_folder: tuple[str, Path]
) -> None:
    url, folder = http_folder
    path = write_scene(folder / "a.hdf", 1)
    listed = tmp_path / "list.txt"
    record = write_record(tmp_path / "record")
    listed.write_text(f"{url}/a.hdf {path.stat().st_size} {'0' * 64}\n")
    with pytest.raises(IntegrityError, match="the source changed"):
        adopt_scenes(str(listed), tmp_path / "store", record, listed=True)
    listed.write_text(f"{url}/a.hdf 17\n")
    with pytest.raises(IntegrityError, match="the list says 17"):
        adopt_scenes(str(listed), tmp_path / "store", record, listed=True)
    listed.write_text(f"{url}/b.hdf\n")
    with pytest.raises(NotFoundError, match=r"'b\.hdf', which the list names, is not there"):
        adopt_scenes(str(listed), tmp_path / "store", record, listed=True)


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ("file:///etc/passwd", "is a file of this machine"),
        ("ftp://example.org/a.hdf", "is none of s3://, https:// and http://"),
        ("https://me:secret@example.org/a.hdf", "holds a user or a password"),
        ("https://example.org/a.hdf?X-Amz-Signature=secret", "has a query"),
        ("https://example.org/../../a.hdf", "leaves its folder"),
        ("https://example.org/%2e%2e/a.hdf", "leaves its folder"),
        ("http://169.254.169.254/latest/meta-data", "is link-local"),
        ("http://[fe80::1]/a.hdf", "is link-local"),
        ("/etc/passwd", "is none of"),
        ("https://example.org/folder/", "is a folder"),
    ],
)
def test_a_hostile_entry_is_refused_before_anything_is_asked_for(
    tmp_path: Path, entry: str, named: str
) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text(f"{entry}\n")
    with pytest.raises(InvalidError) as caught:
        adopt_scenes(
            str(listed), tmp_path / "store", write_record(tmp_path / "record"), listed=True
        )
    (problem,) = caught.value.problems
    assert named in problem.message
    assert problem.path == f"{listed}:1"
    assert "secret" not in str(caught.value)
    assert "secret" not in problem.message


def test_a_name_that_leaves_the_web_folder_is_refused(
    tmp_path: Path, http_folder: tuple[str, Path]
) -> None:
    url, folder = http_folder
    for name in ("../a.hdf", "%2e%2e/a.hdf", "https://example.org/a.hdf"):
        (folder / "index.txt").write_text(f"{name}\n")
        with pytest.raises(InvalidError, match=r"index\.txt:1"):
            adopt_scenes(url, tmp_path / "store", write_record(tmp_path / "record"))


def test_a_server_that_sends_readers_elsewhere_is_not_followed(tmp_path: Path) -> None:
    import http.server
    import threading

    class Elsewhere(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", "http://169.254.169.254/secret")
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815 - the base's name

        def log_message(self, format: str, *args: object) -> None:
            return

    listed = tmp_path / "list.txt"
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        listed.write_text(f"http://127.0.0.1:{server.server_address[1]}/a.hdf\n")
        with pytest.raises(StorageError, match="sends readers to another host"):
            adopt_scenes(
                str(listed), tmp_path / "store", write_record(tmp_path / "record"), listed=True
            )
        server.shutdown()


def test_what_was_read_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scidata.adopting import digests
    from scidata.hashing import hash_stream

    files = write_scenes(tmp_path / "source", 4)
    record = write_record(tmp_path / "record")
    read: list[int] = []
    broken = [True]
    whole = hash_stream

    def counting(blocks: Any) -> Any:
        if broken and len(read) >= 2:
            raise KeyboardInterrupt
        found = whole(blocks)
        read.append(found[1])
        return found

    monkeypatch.setattr(digests, "hash_stream", counting)
    monkeypatch.setattr(digests, "AT_ONCE", 1)
    options = AdoptOptions(along="scene")
    with pytest.raises(KeyboardInterrupt):
        adopt_scenes(str(tmp_path / "source"), tmp_path / "store", record)
    noted = sum(f.stat().st_size for f in files[:2])
    planned = plan_adopt(
        str(tmp_path / "source"),
        tmp_path / "store",
        name="scenes",
        record=record,
        version="1.0.0",
        options=options,
    )
    assert planned.to_read == planned.bytes - noted
    broken.clear()
    read.clear()
    adopt_scenes(str(tmp_path / "source"), tmp_path / "store", record)
    assert sorted(read) == sorted(f.stat().st_size for f in files[2:])
    assert scidata.verify("scenes", tmp_path / "store").damage == ()


def test_adopting_again_says_so_and_other_bytes_are_a_conflict(tmp_path: Path) -> None:
    store, files = adopted(tmp_path)
    record = tmp_path / "record" / "record.yaml"
    assert adopt_scenes(str(tmp_path / "source"), store, record).published.already
    write_scene(files[0], 50)
    with pytest.raises(ConflictError, match="published with other data"):
        adopt_scenes(str(tmp_path / "source"), store, record)


def rewritten(store: Path, **changes: Any) -> None:
    """Change what the commit record says of the place outside."""
    path = store / "scenes" / "versions" / "1.0.0.json"
    fields = json.loads(path.read_text())
    fields["outside"][0] |= changes
    path.chmod(0o644)
    path.write_text(json.dumps(fields))
    parse_commit(path.read_bytes(), where="x")


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("http://169.254.169.254/x", "link-local"),
        ("https://u:p@example.org/x", "holds a user"),
        ("gopher://example.org/x", "is none of"),
        ("file:///data/../etc", "leaves its folder"),
    ],
)
def test_a_commit_record_cannot_send_readers_anywhere(
    tmp_path: Path, url: str, named: str
) -> None:
    store, _ = adopted(tmp_path)
    rewritten(store, url=url)
    with pytest.raises(InvalidError, match=named):
        scidata.open("scenes@1.0.0", store)


def test_a_store_on_the_web_cannot_send_readers_to_their_own_files(
    tmp_path: Path,
) -> None:
    from scidata.storage.foreign import is_near, place_fault

    assert not is_near("https://example.org/store")
    assert place_fault("file:///etc", near=False) == "is a folder of whoever reads it"
    for host in ("127.0.0.1", "10.1.2.3", "localhost", "2130706433"):
        assert place_fault(f"http://{host}/x", near=False) == "lies in a private network"
    assert place_fault("http://metadata.google.internal/x", near=True) is not None


def test_the_index_cannot_name_a_place_that_the_commit_record_does_not(tmp_path: Path) -> None:
    store, _ = adopted(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    rewritten(store, url=other.as_uri())
    with pytest.raises(InvalidError, match="does not name"):
        scidata.pull("scenes@1.0.0", tmp_path / "copy", store)


def test_files_of_different_layouts_are_adopted_only_without_references(tmp_path: Path) -> None:
    files = write_scenes(tmp_path / "source", 2)
    write_scene(files[1], 1, 24, 60)
    record = write_record(tmp_path / "record")
    with pytest.raises(InvalidError, match="another layout") as caught:
        adopt_scenes(str(tmp_path / "source"), tmp_path / "store", record)
    assert "--no-references" in caught.value.fix
    done = adopt_scenes(str(tmp_path / "source"), tmp_path / "store", record, references=False)
    assert done.referenced is None
    assert scidata.verify("scenes", tmp_path / "store").damage == ()


def test_a_dimension_is_not_forgotten_where_no_index_can_be_made(tmp_path: Path) -> None:
    write_scenes(tmp_path / "source", 1)
    (tmp_path / "source" / "SHA256SUMS").write_text("")
    record = write_record(tmp_path / "record")
    with pytest.raises(InvalidError, match="along 'scene': 'SHA256SUMS' is neither HDF5"):
        adopt_scenes(str(tmp_path / "source"), tmp_path / "store", record)
    done = adopt_scenes(str(tmp_path / "source"), tmp_path / "store", record, along=None)
    assert done.referenced is None


def test_a_list_in_the_place_of_a_folder_is_told_apart_from_a_lost_folder(
    tmp_path: Path,
) -> None:
    (tmp_path / "list.txt").write_text("")
    record = write_record(tmp_path / "record")
    for source in ("list.txt", "archiv"):
        with pytest.raises(NotFoundError, match="is no folder") as caught:
            adopt_scenes(str(tmp_path / source), tmp_path / "store", record)
        assert "--list" in caught.value.fix
    with pytest.raises(InvalidError, match="the store lies in"):
        adopt_scenes(str(tmp_path), tmp_path / "store", record)


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


def test_a_catalog_on_a_server_cannot_name_files_of_its_reader(
    tmp_path: Path,
) -> None:
    store, _ = adopted(tmp_path)
    with folder_server(store) as url, pytest.raises(InvalidError, match="would read files of"):
        scidata.open_catalog(f"{url}/scenes/catalog-1.0.0.yaml")


def test_an_index_of_references_that_names_other_files_is_refused(tmp_path: Path) -> None:
    from scidata.loaders.references import parse_references

    store, _ = adopted(tmp_path)
    version = scidata.open("scenes", store)
    index = (store / "scenes/v1.0.0/meta/references/scenes.json").read_bytes()
    own = version.published.manifest.under("data/scenes")
    assert parse_references(index, own, where="x").ranges
    for bad in (b"{{base}}/../x.hdf", b"file:///etc/passwd"):
        changed = index.replace(b"{{base}}/" + next(iter(own)).encode(), bad)
        with pytest.raises(InvalidError, match="none of the asset's files"):
            parse_references(changed, own, where="x")


def test_a_store_with_an_adopted_version_is_indexed_again(tmp_path: Path) -> None:
    from scidata.index import rebuild

    store, _ = adopted(tmp_path)
    report = rebuild(open_store(store))
    assert report.written == ()
    assert report.damaged == ()


def put_checked(endpoint: str, bucket: str, files: list[Path]) -> None:
    """Upload files so that S3 keeps the sha256 of each."""
    import botocore.session

    client = botocore.session.Session().create_client("s3", endpoint_url=endpoint)
    for path in files:
        client.put_object(
            Bucket=bucket, Key=path.name, Body=path.read_bytes(), ChecksumAlgorithm="SHA256"
        )
    client.close()


def test_s3_s_own_checksums_of_whole_objects_stand_for_reading(
    tmp_path: Path, s3_url: str, s3_endpoint: str
) -> None:
    files = write_scenes(tmp_path / "local", 2)
    create_bucket(s3_endpoint, "kept")
    put_checked(s3_endpoint, "kept", files)
    store = tmp_path / "store"
    adopt_scenes("s3://kept", store, write_record(tmp_path / "record"), read=False)
    assert scidata.verify("scenes", store).damage == ()


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


def test_the_stored_checksums_of_a_source_are_asked_for_by_verify_remote(
    tmp_path: Path, s3_url: str, s3_endpoint: str
) -> None:
    files = write_scenes(tmp_path / "local", 2)
    create_bucket(s3_endpoint, "asked")
    put_checked(s3_endpoint, "asked", files)
    store = tmp_path / "store"
    adopt_scenes("s3://asked", store, write_record(tmp_path / "record"))
    found = scidata.verify("scenes", store, remote=True)
    assert found.damage == ()
    assert sum(found.checksums.values()) == 2


def test_nothing_is_inherited_from_files_that_the_store_does_not_hold(tmp_path: Path) -> None:
    import shutil

    store, _ = adopted(tmp_path)
    staged = tmp_path / "staged"
    shutil.copytree(tmp_path / "source", staged / "data" / "scenes")
    shutil.copy(tmp_path / "record" / "record.yaml", staged)
    scidata.publish(staged, store, version="1.1.0", options=PublishOptions(layout="delta"))
    shutil.rmtree(tmp_path / "source")
    assert scidata.verify("scenes@1.1.0", store).damage == ()

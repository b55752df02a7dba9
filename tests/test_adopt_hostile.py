"""Adopted versions that would send readers elsewhere: no list, server or record can."""

import json
from pathlib import Path
from typing import Any

import pytest

import scidata
from scidata.errors import (
    InvalidError,
    StorageError,
)
from scidata.version import parse_commit
from tests.adopted import adopt_scenes, adopted, write_record
from tests.servers import folder_server

pytestmark = [
    pytest.mark.filterwarnings("ignore:Numcodecs codecs:UserWarning"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]


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

"""Attack: a delta that sends its reader elsewhere for what it inherits.

Promise: whatever ``fetch.txt``, the column ``since`` or a commit record's prefixes say, scidata
reads a version from the store that it was asked about, inside the dataset's own prefixes.
"""

import io
import json
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import scidata
from scidata.digest import Digest
from scidata.errors import ScidataError
from scidata.materializing import materialize
from scidata.mirroring import mirror
from scidata.publishing import PublishOptions, publish
from scidata.pulling import pull
from scidata.storage.local import LocalStore
from scidata.storage.memory import MemoryStore
from scidata.verifying import verify
from tests.security.attack import run
from tests.security.servers import answering

RECORD = "bare/versions/1.1.0.json"


@pytest.fixture
def store(bare: Path, tmp_path: Path) -> LocalStore:
    """A store with a delta, and beside it what nobody should read."""
    (tmp_path / "secret").write_text("two a\n")  # the very bytes that are inherited
    store = LocalStore(tmp_path / "store")
    publish(bare, store, version="1.0.0")
    (bare / "data" / "one.txt").write_text("changed\n")
    publish(bare, store, version="1.1.0", options=PublishOptions(layout="delta"))
    return store


def forge(store: LocalStore, key: str, data: bytes) -> None:
    """Replace a tag file, and vouch for it as whoever may write to the store can."""
    record = json.loads(store.read(RECORD))
    record["tags"][key] = {"sha256": Digest.of(data).hex, "size": len(data)}
    store.replace(f"bare/{key}", data)
    store.replace(RECORD, json.dumps(record).encode())


def use_every_way(store: LocalStore, tmp_path: Path) -> None:
    assert verify("bare@1.1.0", store).damage == ()
    pull("bare@1.1.0", tmp_path / "copy", store)
    # The bag's own list of tag files, which no attacker needs to mend, names the forged one.
    assert {damage.path for damage in verify(tmp_path / "copy").damage} <= {"fetch.txt"}
    assert len(scidata.open("bare@1.1.0", store).published.manifest) == 2
    mirror(["bare@1.1.0"], store, to=MemoryStore("copy"))
    materialize("bare@1.1.0", store)


@pytest.mark.parametrize(
    "line",
    [
        "{url}/two.txt 6 data/deep/two.txt",
        "file://{tmp}/secret 6 data/deep/two.txt",
        "file:///etc/passwd - data/deep/two.txt",
        "{url}/x 6 ../../outside",
        "{url}/x 6 /etc/cron.d/x",
        "http://169.254.169.254/latest/meta-data/ - data/deep/two.txt",
    ],
)
def test_nothing_is_fetched_from_where_fetch_txt_says(
    store: LocalStore, tmp_path: Path, line: str
) -> None:
    seen: list[tuple[str, dict[str, str]]] = []
    with answering(200, {}, b"two a\n", seen=seen) as url:
        forge(store, "v1.1.0/fetch.txt", line.format(url=url, tmp=tmp_path).encode() + b"\n")
        use_every_way(store, tmp_path)
    assert seen == []
    assert (tmp_path / "copy/data/deep/two.txt").read_text() == "two a\n"
    assert not (tmp_path.parent / "outside").exists()
    assert list(tmp_path.rglob("outside")) == []


@pytest.mark.parametrize(
    "since",
    [
        "../..",
        "1.0.0/../../..",
        "/etc",
        "9.9.9",
        "1.0.0 ",
        "",
        "http://127.0.0.1/x",
        "file:///etc",
        "1.0.0\0",
        "\u0661.0.0",
    ],
)
def test_no_column_leads_out_of_the_prefixes_that_the_record_names(
    store: LocalStore, tmp_path: Path, since: str
) -> None:
    key = "v1.1.0/manifest.parquet"
    table = pq.read_table(io.BytesIO(store.read(f"bare/{key}")))
    place = table.schema.get_field_index("since")
    values = [since if v == "1.0.0" else v for v in table["since"].to_pylist()]
    kind = table.schema.field(place).type
    out = io.BytesIO()
    pq.write_table(
        table.set_column(place, "since", pa.array(values, pa.string()).cast(kind)), out
    )
    forge(store, key, out.getvalue())
    for act in (
        lambda: pull("bare@1.1.0", tmp_path / "copy", store),
        lambda: scidata.open("bare@1.1.0", store).published,
        lambda: mirror(["bare@1.1.0"], store, to=MemoryStore("copy")),
        lambda: materialize("bare@1.1.0", store),
    ):
        with pytest.raises(ScidataError):
            act()
    with suppress(ScidataError):
        assert verify("bare@1.1.0", store).damage != ()
    assert not (tmp_path / "copy" / "data").exists()


@pytest.mark.parametrize("prefix", ["../..", "v1.0.0/..", "/etc", "v9.9.9/../../x", "http://x"])
def test_no_record_names_a_prefix_outside(store: LocalStore, prefix: str) -> None:
    record = json.loads(store.read(RECORD))
    record["prefixes"] = [prefix, "v1.1.0"]
    store.replace(RECORD, json.dumps(record).encode())
    with pytest.raises(ScidataError):
        scidata.open("bare@1.1.0", store)
    with pytest.raises(ScidataError):
        verify("bare@1.1.0", store)


if __name__ == "__main__":
    run(__file__)

"""What tests of pull and verify share: versions to damage, and what damage is named."""

import os
import shutil
import sys
from pathlib import Path

from scidata.storage.base import Store
from scidata.storage.local import LocalStore
from scidata.storage.memory import MemoryStore
from scidata.verifying import Verified
from tests.samples import write_staged
from tests.versions import write_version

MANIFEST = "manifest-sha256.txt"
TABLE = "data/table.parquet"
STATISTICS = "data/statistics.json"
PART = "data/splits/sample/train.txt"
CHUNK = "data/array.zarr/wave/c/1/0/0"
BIG = "data/big.bin"
BIG_BYTES = 24 * 2**20


def two_versions(root: Path) -> Path:
    """Return a store with tiny@1.0.0 and tiny@1.1.0, which differ in two files."""
    staged = write_staged(root / "staged")
    store = LocalStore(root / "store")
    write_version(store, staged, "1.0.0")
    (staged / PART).write_text("0000\n")
    (staged / STATISTICS).write_text("{}\n")
    write_version(store, staged, "1.1.0")
    return root / "store"


def with_big_file(root: Path) -> Path:
    """Return a store with tiny@1.0.0 and tiny@1.1.0; in the latter one file is 24 MiB."""
    staged = write_staged(root / "staged")
    write_version(LocalStore(root / "store"), staged, "1.0.0")
    (staged / BIG).write_bytes(os.urandom(BIG_BYTES))
    write_version(LocalStore(root / "store"), staged, "1.1.0")
    return root / "store"


def named(found: Verified) -> set[tuple[str, str]]:
    return {(item.state, item.path) for item in found.damage}


def flip(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def in_folder(published: Path, tmp_path: Path) -> Store:
    return LocalStore(Path(shutil.copytree(published, tmp_path / "store")))


def in_memory(published: Path, tmp_path: Path) -> Store:
    store = MemoryStore()
    for facts in LocalStore(published).list():
        store.create(facts.key, published / facts.key)
    return store


def files(folder: Path) -> dict[str, bytes]:
    paths = [p for p in folder.rglob("*") if p.is_file()]
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in paths}


def command(*arguments: str | Path) -> list[str]:
    """Return the command line that runs a verb with this Python."""
    program = [sys.executable, "-c", "from scidata.cli import main; main()"]
    return program + [str(argument) for argument in arguments]

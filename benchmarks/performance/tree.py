"""The tree that measurements of checksums read: few big and many small files, as a BagIt bag.

4 files of 256 MB and 20,000 of 50 KB (2 GB in all), the same bytes each time.
"""

import hashlib
import json
import random
from dataclasses import dataclass
from pathlib import Path

from scidata.hashing import hash_files
from scidata.manifest import MANIFEST, Manifest

SEED = 20
BLOCK = 1_000_000


@dataclass(frozen=True)
class Size:
    """How many files of how many bytes."""

    big: int
    big_bytes: int
    small: int
    small_bytes: int

    @property
    def total(self) -> int:
        """Bytes in all."""
        return self.big * self.big_bytes + self.small * self.small_bytes


SIZES = {
    "full": Size(4, 256_000_000, 20_000, 50_000),
    "small": Size(2, 4_000_000, 200, 50_000),
}


def make_payload(folder: Path, size: Size) -> None:
    """Write ``data/``."""
    source = random.Random(SEED)  # noqa: S311 - not for secrets: the same bytes each time
    (folder / "data" / "big").mkdir(parents=True)
    for number in range(size.big):
        with (folder / f"data/big/{number}.bin").open("wb") as file:
            for _ in range(0, size.big_bytes, BLOCK):
                file.write(source.randbytes(BLOCK))
    for number in range(size.small):
        path = folder / f"data/small/{number // 1000:02d}/{number:05d}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.randbytes(size.small_bytes))


def make_bag(folder: Path, size: Size) -> None:
    """Write the bag unless it is there."""
    if (folder / "bagit.txt").exists():
        return
    make_payload(folder, size)
    files = [(p.relative_to(folder).as_posix(), p) for p in (folder / "data").rglob("*.bin")]
    manifest = Manifest({key: digest for key, (digest, _) in hash_files(files).items()})
    facts = {"dataset": "speed", "version": "1.0.0", "digest": str(manifest.digest)}
    (folder / "meta").mkdir()
    (folder / "meta/facts.json").write_text(json.dumps({**facts, "bytes": size.total}))
    (folder / MANIFEST).write_bytes(manifest.text)
    tags = [MANIFEST, "bagit.txt", "meta/facts.json"]
    declaration = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
    (folder / "bagit.txt").write_text(declaration)
    lines = [f"{hashlib.sha256((folder / t).read_bytes()).hexdigest()}  {t}\n" for t in tags]
    (folder / "tagmanifest-sha256.txt").write_text("".join(lines))

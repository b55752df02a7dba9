"""How fast references of many files are made, and in how much memory.

``python -m scidata.benchmarks.performance.references`` writes files in CloudMask's layout
(HDF5, three arrays, gzip and shuffle), makes their index, and opens it. It prints one JSON
document: files a second, chunks, bytes of the index, peak of resident memory in MiB above what
imports take, and seconds to open the index with xarray alone.
"""

import argparse
import json
import resource
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

import h5py
import numpy as np
import xarray as xr

from scidata.references import Along, Header, read_header, write_references

CHUNK = (150, 150)
_ALONG = Along(dimension="scene", kind="new")


def write_files(folder: Path, count: int, height: int, width: int) -> None:
    """Write one scene and as many copies of it: headers are what is read."""
    first = folder / "scene-00000.h5"
    with h5py.File(first, "w") as file:
        for name, channels, dtype in (("refs", 6, "f4"), ("bts", 3, "f4"), ("bayes", 1, "u1")):
            file.create_dataset(
                name,
                data=np.ones((height, width, channels), dtype),
                chunks=(*CHUNK, channels),
                compression="gzip",
                shuffle=True,
            )
    for number in range(1, count):
        shutil.copyfile(first, folder / f"scene-{number:05d}.h5")


def measure(count: int, height: int, width: int) -> dict[str, object]:
    """Make the references of `count` files and open them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # In a process of its own: what writing takes must not hide what references take.
        writer = get_context("spawn").Process(
            target=write_files, args=(folder, count, height, width)
        )
        writer.start()
        writer.join()
        files = sorted(folder.glob("*.h5"))
        before = _peak_mib()
        begin = time.perf_counter()
        index = folder / "index.json"
        with index.open("w", encoding="utf-8") as out:
            found = write_references(out, _headers(files), base=folder.as_uri(), along=_ALONG)
        took = time.perf_counter() - begin
        peak = _peak_mib() - before
        begin = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            opened = xr.open_zarr(
                "reference://",
                storage_options={"fo": str(index)},
                consolidated=False,
                chunks=None,
            )
            shape = opened["refs"].shape
        return {
            "schema": "scidata-references-speed/1",
            "files": count,
            "files_per_s": round(count / took, 1),
            "chunks": found.chunks,
            "index_bytes": index.stat().st_size,
            "peak_mib": round(peak, 1),
            "open_s": round(time.perf_counter() - begin, 2),
            "shape": shape,
        }


def _headers(files: list[Path]) -> Iterator[tuple[str, str, Header]]:
    for path in files:
        with path.open("rb") as file:
            yield path.name, path.name, read_header(file, _ALONG, where=path.name)


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print the measurement as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=970)
    parser.add_argument("--height", type=int, default=1200)
    parser.add_argument("--width", type=int, default=1500)
    chosen = parser.parse_args()
    print(json.dumps(measure(chosen.files, chosen.height, chosen.width)))  # noqa: T201 a script


if __name__ == "__main__":
    main()

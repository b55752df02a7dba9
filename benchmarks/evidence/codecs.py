"""How many bytes the arrays of earthquakes take with each codec.

    scidata build tevolop --source scedc_socal_1950_2026.csv.gz --out staged/tevolop
    python benchmarks/evidence/codecs.py staged/tevolop

Prints the table of docs/design/tevolop.md, "Chunks and codec": three arrays of the staged
dataset, written once more in the same chunks and shards, and the seconds of CPU that it took.
"""

import argparse
import tempfile
from pathlib import Path
from time import process_time

import zarr
from zarr.abc.codec import BytesBytesCodec
from zarr.codecs import BloscCodec, ZstdCodec

from scidata.benchmarks.evidence.catalogue import table
from scidata.datasets.array_store import Array

ARRAYS = ("grid.zarr/magnitude", "grid.zarr/multiplicity", "fortnights.zarr/magnitude_ahead")
CODECS: dict[str, BytesBytesCodec] = {
    "zstd 3": ZstdCodec(level=3),
    "zstd 9": ZstdCodec(level=9),
    "blosc zstd 5, shuffle": BloscCodec(cname="zstd", clevel=5, shuffle="shuffle"),
    "blosc zstd 5, bitshuffle": BloscCodec(cname="zstd", clevel=5, shuffle="bitshuffle"),
    "blosc lz4, shuffle": BloscCodec(cname="lz4", clevel=5, shuffle="shuffle"),
}


def report(staged: Path) -> str:
    """Return the table."""
    arrays: list[Array] = [zarr.open_array(staged / "data" / name, mode="r") for name in ARRAYS]
    head = [
        f"{name.partition('/')[2]}, {array.nbytes / 1e6:.0f} MB"
        for name, array in zip(ARRAYS, arrays, strict=True)
    ]
    rows = [
        [name, *(written(array, codec) for array in arrays)] for name, codec in CODECS.items()
    ]
    return table(["codec", *head], rows)


def written(array: Array, codec: BytesBytesCodec) -> str:
    """Write an array once more, and say how large it became, and how long it took."""
    values = array[...]
    with tempfile.TemporaryDirectory() as folder:
        begin = process_time()
        copy = zarr.create_array(
            folder,
            shape=array.shape,
            dtype=array.dtype,
            chunks=array.chunks,
            shards=array.shards,
            compressors=codec,
            fill_value=array.fill_value,
        )
        copy[...] = values
        seconds = process_time() - begin
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    return f"{size / 1e6:.1f} MB in {seconds:.1f} s"


def main() -> None:
    """Print the table for the folder on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("staged", type=Path, help="folder that scidata build wrote")
    print(report(parser.parse_args().staged))  # noqa: T201 - a script's result


if __name__ == "__main__":
    main()

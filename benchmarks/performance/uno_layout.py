"""CANDLE-UNO in three layouts: bytes on the store, and samples/s over S3 on loopback.

``normalised`` is what ``scidata build`` writes: features of a cell and a drug once, rows
gathered on the fly. ``flat parquet`` and ``flat zarr`` repeat both in every row, as the
published file does, in the order of a random draw: lists in row groups, and arrays in chunks,
with zstd. All three are published, and streamed by the same loader from the same server in the
same run, in turns; samples are the same, tensor by tensor, which is checked. Features are
simulated, of noise that does not compress, in the published widths: 942 and 5,270 float32.

Goal: the normalised layout has below 1 GB, and streams faster than either flat one.

    python benchmarks/performance/uno_layout.py --data DATA --prepare
    python benchmarks/performance/uno_layout.py --data DATA

Normalised it has all 529,940 rows of the published file; flat a part of them, 13.2 GB being too
many for most disks. Bytes of the whole are the part's, scaled by rows.
"""

import json
import os
import shutil
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

import scidata
from scidata.benchmarks.performance.records import synthetic
from scidata.benchmarks.performance.server import serving
from scidata.dataset import Dataset
from scidata.datasets.array_store import ArrayStore
from scidata.datasets.candle_uno import content
from scidata.datasets.candle_uno.mini import content_of
from scidata.datasets.candle_uno.simulate import DESCRIPTORS, GENES, Simulated, simulate
from scidata.loaders.trial import run_epoch
from scidata.storage import open_store

ROWS, CELLS, DRUGS = 529_940, 1000, 1000
"""Rows as published; the published file does not tell how many cells and drugs it has."""
MOST_BYTES = 1e9
NORMALISED = "normalised"
_ROW_GROUP, _CHUNK = 1024, 256
_FLAT_SAMPLES = {"inputs": ["expression", "descriptors"], "targets": ["AUC"]}
_JOINS = [
    {"by": "cell", "asset": "cells", "variables": ["expression"]},
    {"by": "drug", "asset": "drugs", "variables": ["descriptors"]},
]


def write_normalised(data: Path, drawn: Simulated, rows: int) -> None:
    """Write all rows as a build does."""
    content.write(content_of(drawn, 0), data)


def write_parquet(data: Path, drawn: Simulated, rows: int) -> None:
    """Write the first rows as a table of lists, a row group at a time."""
    columns = {"expression": GENES, "descriptors": DESCRIPTORS}
    kinds = {name: pa.list_(pa.float32(), width) for name, width in columns.items()}
    schema = pa.schema({**kinds, "AUC": pa.float32()})
    with pq.ParquetWriter(data / "rows.parquet", schema, compression="zstd") as writer:
        for begin in range(0, rows, _ROW_GROUP):
            found = _repeated(drawn, slice(begin, min(begin + _ROW_GROUP, rows)))
            lists = [
                pa.FixedSizeListArray.from_arrays(pa.array(found[name].reshape(-1)), width)
                for name, width in columns.items()
            ]
            table = pa.Table.from_arrays([*lists, pa.array(found["AUC"])], schema=schema)
            writer.write_table(table, row_group_size=_ROW_GROUP)
    _write_ids(data, rows)


def write_zarr(data: Path, drawn: Simulated, rows: int) -> None:
    """Write the first rows as arrays, in chunks of whole rows."""
    store = ArrayStore(data / "rows.zarr", "Repeated rows")
    arrays = {
        name: store.create(
            name,
            {"row": rows, **({f"{name}_column": width} if width else {})},
            "float32",
            {"units": "1"},
            layout=((_CHUNK, width) if width else (_CHUNK,), ()),
        )
        for name, width in (("expression", GENES), ("descriptors", DESCRIPTORS), ("AUC", 0))
    }
    for begin in range(0, rows, _CHUNK):
        piece = slice(begin, min(begin + _CHUNK, rows))
        for name, values in _repeated(drawn, piece).items():
            arrays[name][piece] = values
    store.close()
    _write_ids(data, rows)


LAYOUTS: Mapping[str, Callable[[Path, Simulated, int], None]] = {
    NORMALISED: write_normalised,
    "flat parquet": write_parquet,
    "flat zarr": write_zarr,
}


def _repeated(drawn: Simulated, piece: Any) -> dict[str, Any]:  # Any: arrays
    return {
        "expression": drawn.expression[drawn.cell[piece]],
        "descriptors": drawn.descriptors[drawn.drug[piece]],
        "AUC": drawn.auc[piece],
    }


def _write_ids(data: Path, rows: int) -> None:
    path = data / "splits/row/train.txt"
    path.parent.mkdir(parents=True)
    path.write_text("".join(f"{n}\n" for n in sorted(map(str, range(rows)))))


def draw(rows: int, cells: int, drugs: int) -> Simulated:
    """Simulate, and keep so many responses in random order."""
    drawn = simulate(0, cells=cells, drugs=drugs)
    if rows > len(drawn.auc):
        raise click.BadParameter(f"{cells} cells and {drugs} drugs give {len(drawn.auc)} rows")
    order = np.random.default_rng(0).permutation(len(drawn.auc))[:rows]
    per_row = ("cell", "drug", "auc", "noiseless", "ec50", "slope", "einf")
    held = {name: getattr(drawn, name)[order] for name in per_row}
    return Simulated(**{**vars(drawn), **held})


def record(name: str, layout: str) -> dict[str, Any]:  # Any: YAML at the edge
    """Return the record of a layout."""
    flat = layout != NORMALISED
    samples: dict[str, Any] = (
        {"asset": "rows", **_FLAT_SAMPLES}
        if flat
        else {
            "asset": "response",
            "inputs": ["cell_number"],
            "targets": ["AUC"],
            "joins": _JOINS,
        }
    )
    parts = ("train",) if flat else ("train", "validation", "test")
    return synthetic(
        name,
        f"Simulated drug response, {layout}",
        "Cells, drugs and responses from a fixed seed: how fast do they stream?",
        variables=[
            {"name": name, "description": "Random numbers.", "units": "1"}
            for name in (*samples["inputs"], *samples["targets"])
        ],
        splits=[
            {
                "name": split,
                "default": split == "row",
                "asset": samples["asset"],
                "dimension": "row",
                "unit": "one response",
                "rule": "As a build divides.",
                "parts": [{"name": part, "description": "A share."} for part in parts],
            }
            for split in (("row",) if flat else ("row", "cell", "drug"))
        ],
        samples={"each": ["row"], **samples},
    )


def publish(data: Path, drawn: Simulated, layout: str, rows: int) -> tuple[str, int]:
    """Write and publish a layout; return its name and the bytes of its data."""
    name = "uno-" + layout.replace(" ", "-")
    staged = data / "staged" / name
    shutil.rmtree(staged, ignore_errors=True)
    (staged / "data").mkdir(parents=True)
    LAYOUTS[layout](staged / "data", drawn, rows)
    (staged / "record.yaml").write_text(yaml.safe_dump(record(name, layout), sort_keys=False))
    kept = [p for p in (staged / "data").rglob("*") if p.is_file() and "splits" not in p.parts]
    size = sum(path.stat().st_size for path in kept)
    store = data / "bucket/store"
    shutil.rmtree(store / name, ignore_errors=True)
    scidata.publish(staged, store, version="1.0.0")
    shutil.rmtree(staged)
    check_same(scidata.open(name, store), drawn)
    return name, size


def check_same(opened: Dataset, drawn: Simulated) -> None:
    """Compare a batch with what was drawn."""
    stream = opened.stream("row/train", batch_size=64, shuffle=True, seed=0)
    batch = next(iter(stream))
    stream.close()
    for name, expected in _repeated(drawn, batch["row"].numpy()).items():
        if not np.array_equal(batch[name].numpy(), expected):
            raise click.ClickException(f"{opened.name}: {name} is not what was drawn")


def prepare(
    data: Path, held: Mapping[str, int], cells: int, drugs: int
) -> dict[str, tuple[str, int]]:
    """Write and publish all layouts, unless they are there: name and bytes by layout."""
    note = data / "made.json"
    wanted = {"rows": dict(held), "cells": cells, "drugs": drugs}
    if note.exists() and (found := json.loads(note.read_text()))["wanted"] == wanted:
        return dict(found["made"])
    drawn = draw(held[NORMALISED], cells, drugs)
    made = {layout: publish(data, drawn, layout, rows) for layout, rows in held.items()}
    note.write_text(json.dumps({"wanted": wanted, "made": made}))
    return made


def measure(endpoint: str, name: str, batch_size: int, seconds: float) -> float:
    """Return samples/s of an epoch, or of what of it comes in so many seconds."""
    store = open_store("s3://bucket/store", endpoint_url=endpoint, anonymous=True)
    opened = scidata.open(name, store)
    stream = opened.stream("row/train", batch_size=batch_size, shuffle=True, seed=0)
    probe = run_epoch(stream, 0, batches=min(len(stream), 50), progress=lambda *_: None)
    batches = max(int(seconds * probe.samples_per_s / batch_size), 50)
    found = run_epoch(stream, 1, batches=batches, progress=lambda *_: None)
    stream.close()
    return found.samples_per_s


@click.command(help=__doc__)
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder for it.")
@click.option("--rows", default=ROWS, show_default=True, help="Of the normalised layout.")
@click.option("--flat-rows", default=25_600, show_default=True, help="Of the flat ones.")
@click.option("--cells", default=CELLS, show_default=True)
@click.option("--drugs", default=DRUGS, show_default=True)
@click.option("--batch-size", default=256, show_default=True)
@click.option("--rounds", default=3, show_default=True, help="The median counts.")
@click.option("--seconds", default=4.0, show_default=True, help="Of an epoch, about.")
@click.option("--prepare", "only_prepare", is_flag=True, help="Write, and measure nothing.")
def main(
    *,
    data: Path,
    rows: int,
    flat_rows: int,
    cells: int,
    drugs: int,
    batch_size: int,
    rounds: int,
    seconds: float,
    only_prepare: bool,
) -> None:
    """Write, publish, measure in turns, print JSON, and fail if the goal is missed."""
    held = {name: rows if name == NORMALISED else flat_rows for name in LAYOUTS}
    made = prepare(data, held, cells, drugs)
    if only_prepare:
        return
    speeds: dict[str, list[float]] = {layout: [] for layout in LAYOUTS}
    with serving(data, lists=True) as server:
        for _ in range(rounds):
            for layout, (name, _) in made.items():
                speeds[layout].append(measure(server.endpoint, name, batch_size, seconds))
    found: dict[str, dict[str, Any]] = {  # Any: JSON
        layout: {
            "rows": held[layout],
            "bytes": size,
            "bytes_of_all_rows": round(size * rows / held[layout]),
            "samples_per_s": round(statistics.median(speeds[layout])),
            "rounds": [round(speed) for speed in speeds[layout]],
        }
        for layout, (_, size) in made.items()
    }
    ours = found.pop(NORMALISED)
    reached = ours["bytes"] < MOST_BYTES and all(
        ours["samples_per_s"] > other["samples_per_s"] for other in found.values()
    )
    document = {
        "schema": "scidata-performance-uno-layout/1",
        "batch_size": batch_size,
        "bytes_in_memory": rows * (GENES + DESCRIPTORS) * 4,
        "cpus": len(os.sched_getaffinity(0)),
        "load_average": os.getloadavg()[0],
        "layouts": {NORMALISED: ours, **found},
        "reached_goal": reached,
    }
    click.echo(json.dumps(document, indent=1))
    raise SystemExit(not reached)


if __name__ == "__main__":
    main()

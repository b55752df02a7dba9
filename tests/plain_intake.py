"""Run in an environment without scidata: opens a catalog with Intake alone, prints what it saw.

Usage: plain_intake.py store|originals URL [STORAGE_OPTIONS]
"""

import json
import sys
import warnings
from importlib.util import find_spec
from typing import Any

warnings.simplefilter("ignore")  # of other people's releases; what is judged is what is read


def read_store(index: Any) -> dict[str, Any]:  # Any: intake ships no types
    """Follow the root to the newest and to a pinned version, and read every entry."""
    dataset = index["tiny"].read()
    pinned = dataset["v1.0.0"].read()
    seen: dict[str, Any] = {"datasets": list(index), "entries": list(dataset)}  # Any: JSON
    for name, catalog in (("newest", dataset), ("pinned", pinned)):
        waves = catalog["array"].read()
        table = catalog["table"].read()
        seen[name] = {
            "wave": [list(waves.wave.shape), round(float(waves.wave.sum()), 3)],
            "units": waves.wave.attrs["units"],
            "table": [list(table.columns), len(table)],
            "train": catalog["split-sample-train"].read().id.tolist(),
            "statistics": json.loads(catalog["statistics"].read())["schema"],
            "digest": catalog.metadata["scidata"]["digest"],
        }
    return seen


def read_originals(index: Any) -> dict[str, Any]:  # Any: intake ships no types
    """Open each original as its entry's hint says."""
    import numpy as np
    import xarray as xr

    def files(dataset: str, name: str) -> Any:  # Any: fsspec's OpenFiles
        return index[dataset].read()[name].read()

    def scene(file: Any, **options: Any) -> Any:  # Any: xarray is imported late
        return xr.open_dataset(file, engine="h5netcdf", phony_dims="sort", **options)

    training = files("cloudmask", "ds1-training")
    with training[0] as file:
        shapes = {n: list(v.shape) for n, v in scene(file).variables.items()}
    (packed,) = files("stemdl-classification", "stemdl-ds1a")
    with packed as file:
        label = np.load(file, allow_pickle=False)["label"].tolist()
    (frame,) = files("candle-uno", "top21-auc-1fold")
    with frame as file:
        stack = list(scene(file, group="sample_0_0").cbed_stack.shape)
    response = index["candle-uno"].read()["combo-response"].read()
    (archive,) = files("tevolop", "benchmark-archive")
    with archive as file:
        magic = file.read(6).hex()
    (catalogue,) = files("tevolop", "scedc-catalogue")
    with catalogue as file:
        line = file.read().decode().strip()
    return {
        "training": [len(training), shapes],
        "label": label,
        "stack": stack,
        "response": [list(response.columns), len(response)],
        "archive": magic,
        "catalogue": line,
        "earthquakes": len(index["tevolop"].read()["earthquakes-m2.5"].read()),
        "closed": index["stemdl-reconstruction"].read()["stemdl-reconst-ds1"].metadata,
    }


def main() -> None:
    """Print one JSON document."""
    assert find_spec("scidata") is None, "this environment has scidata"
    import intake

    what, url = sys.argv[1:3]
    options = {"storage_options": json.loads(sys.argv[3])} if sys.argv[3:] else {}
    index = intake.open_catalog(url, **options)
    seen = {"store": read_store, "originals": read_originals}[what](index)
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main()

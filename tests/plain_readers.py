"""Run where scidata is not installed: opens a catalog by Intake or pystac, prints what it saw.

Usage: plain_readers.py store|originals|stac URL [STORAGE_OPTIONS]
"""

import hashlib
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


def read_stac(url: str) -> dict[str, Any]:
    """Walk a store with pystac and read each version's data by their addresses."""
    import fsspec
    import pandas as pd
    import pystac
    import xarray as xr
    from pystac.stac_io import DefaultStacIO

    class Reader(DefaultStacIO):
        """Reads S3 as well, as pystac's own documentation shows."""

        def read_text_from_href(self, href: str) -> str:
            opened: Any = fsspec.open(href, "rt")  # Any: fsspec ships no types
            with opened as file:
                text: str = file.read()
            return text

    seen: dict[str, Any] = {}
    root: Any = pystac.Catalog.from_file(url, stac_io=Reader())  # Any: its links lead anywhere
    for item in root.get_items(recursive=True):
        hrefs = {name: asset.get_absolute_href() for name, asset in item.assets.items()}
        opened: Any = fsspec.open(hrefs["manifest"], "rb")  # Any: fsspec ships no types
        with opened as file:
            manifest = "1220" + hashlib.sha256(file.read()).hexdigest()
        back = item.get_single_link("predecessor-version")
        seen[item.id] = {
            "wave": list(xr.open_zarr(hrefs["array"]).wave.shape),
            "table": len(pd.read_parquet(hrefs["table"])),
            "manifest": manifest == item.assets["manifest"].extra_fields["file:checksum"],
            "digest": item.properties["scidata:digest"],
            "before": back and back.resolve_stac_object(root=root).target.id,
            "collection": item.get_collection().id,
        }
    return seen


def main() -> None:
    """Print one JSON document."""
    assert find_spec("scidata") is None, "this environment has scidata"
    import intake

    what, url = sys.argv[1:3]
    if what == "stac":
        sys.stdout.write(json.dumps(read_stac(url)))
        return
    options = {"storage_options": json.loads(sys.argv[3])} if sys.argv[3:] else {}
    index = intake.open_catalog(url, **options)
    seen = {"store": read_store, "originals": read_originals}[what](index)
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main()

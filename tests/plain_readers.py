"""Run where scidata is not installed: opens a catalog by Intake or pystac, prints what it saw.

Usage: plain_readers.py store|originals|stac URL [STORAGE_OPTIONS]
"""

import hashlib
import json
import sys
import tarfile
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
    """Open each original of each dataset as its entry's hint says."""
    seen: dict[str, Any] = {}  # Any: JSON
    for dataset in index:
        inner = index[dataset].read()
        for name in inner:
            entry = inner[name]
            if "not_opened" in entry.metadata:
                seen[f"{dataset}/{name}"] = entry.metadata["not_opened"]
                continue
            found = entry.read()
            if "hint" not in entry.metadata:
                seen[f"{dataset}/{name}"] = [len(found), list(found.columns)]
                continue
            with found[0] as file:
                what = open_as_hinted(entry.metadata["hint"], file)
            seen[f"{dataset}/{name}"] = [len(found), what]
    return seen


def open_as_hinted(hint: str, file: Any) -> Any:  # Any: an open file, and JSON
    """Look into a file with the library that the hint names."""
    if "xarray.open_dataset(" in hint:
        import xarray as xr

        arrays = xr.open_dataset(file, engine="h5netcdf", phony_dims="sort").variables
        return {name: list(array.shape) for name, array in arrays.items()}
    if "h5py.File(" in hint:
        return frames(file)
    if "numpy.load(" in hint:
        import numpy as np

        arrays = np.load(file, allow_pickle=False)
        return {name: [str(array.dtype), list(array.shape)] for name, array in arrays.items()}
    if "tarfile.open(" in hint:
        with tarfile.open(fileobj=file) as archive:
            return sorted(archive.getnames())
    assert "file.read().decode()" in hint, hint
    return file.read().decode().splitlines()


def frames(file: Any) -> dict[str, Any]:  # Any: an open file, and JSON
    """Return rows and widths of each table of an HDFStore."""
    import h5py
    import hdf5plugin  # noqa: F401 - the filters that the tables are packed with

    seen: dict[str, Any] = {}  # Any: JSON

    def visit(name: str, item: Any) -> None:  # Any: h5py ships no types
        if isinstance(item, h5py.Dataset):
            rows = item[:]
            kinds = [rows.dtype[n] for n in rows.dtype.names if n != "index"]
            seen[name] = [len(rows), [kind.shape[0] for kind in kinds]]

    with h5py.File(file) as root:
        root.visititems(visit)
    return seen


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

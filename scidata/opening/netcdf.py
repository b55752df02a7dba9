"""NetCDF and HDF5 files, opened lazily: from memory if they are small, else by ranges."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from scidata.errors import InvalidError, ScidataError
from scidata.measure.hdf5 import READING, groups_with_variables
from scidata.opening.groups import open_chosen
from scidata.opening.ranges import open_ranges
from scidata.published import Published, read_file
from scidata.storage.stored_file import StoredFile
from scidata.version import CommitAsset

if TYPE_CHECKING:
    import xarray as xr

WHOLE_BYTES = 64 * 2**20
"""Files up to this size are read whole, and compared with their digest."""
MAX_NETCDF3_BYTES = 8 * 2**30
NETCDF3 = b"CDF"


def open_netcdf(
    published: Published, asset: CommitAsset, group: str | None, *, whole: int = WHOLE_BYTES
) -> "xr.Dataset":
    """Open a group of a file; of more than `whole` bytes only ranges are read, unchecked."""
    paths = published.files(asset)
    where = f"{published.commit.name}/{asset.path} at {published.store.url}"
    if paths != (asset.path,):
        raise InvalidError(
            f"the asset {asset.key!r} is a folder of {len(paths)} files, not one",
            where=where,
            fix=f"fetch it: scidata pull {published.commit.name} --asset {asset.key}; then "
            "open a file with xarray.open_dataset",
        )
    file: io.BufferedIOBase
    if asset.bytes <= whole:
        file = io.BytesIO(read_file(published, asset.path, limit=whole))
    else:
        file = open_ranges(published, asset.path, asset.bytes)
    magic = file.read(len(NETCDF3))
    file.seek(0)
    if magic == NETCDF3:
        _require_scipy(where)
        if asset.bytes > whole:  # its reader reads all when it opens: then all can be compared
            file = io.BytesIO(read_file(published, asset.path, limit=MAX_NETCDF3_BYTES))
        return _opened(file, "", where, engine="scipy")
    return open_chosen(
        group,
        open_one=lambda path: _opened_group(file, path, where),
        holding=lambda: groups_with_variables(file),
        where=where,
    )


def _opened_group(file: io.BufferedIOBase, path: str, where: str) -> "xr.Dataset | None":
    import h5py

    with _reading(file, where), h5py.File(file, "r") as held:
        if path and held.get(path, getclass=True) is not h5py.Group:
            return None
        _check_group(held[path or "/"], where)
    # Plain HDF5 has no names of dimensions.
    return _opened(file, path, where, engine="h5netcdf", phony_dims="sort")


def _check_group(group: Any, where: str) -> None:  # Any: h5py ships no types
    """Refuse what leads to other files, and labels that fill the memory when it is opened."""
    import h5py

    for name in group:
        fault = ""
        if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
            fault = "is a link to another file"
        elif group.get(name, getclass=True) is h5py.Dataset:
            fault = _dataset_fault(group[name])
        if fault:
            raise InvalidError(
                f"{name!r} {fault}",
                where=where,
                fix="do not trust this version; scidata show says who published it",
            )


def _dataset_fault(dataset: Any) -> str:  # Any: h5py ships no types
    from scidata.loaders.arrays import MAX_LABELS

    if dataset.external:
        return "holds its data in another file"
    if dataset.is_virtual and any(s.file_name != "." for s in dataset.virtual_sources()):
        return "takes its data from another file"
    if dataset.ndim == 1 and dataset.is_scale and dataset.size > MAX_LABELS:
        return f"labels its dimension with {dataset.size} elements"
    return ""


def _opened(
    file: Any,  # Any: xarray's type of a file asks for a name of its mode, which it never reads
    group: str,
    where: str,
    **options: Any,  # Any: of xarray
) -> "xr.Dataset":
    import xarray as xr

    with _reading(file, where):
        return xr.open_dataset(file, group=group or None, decode_timedelta=False, **options)


@contextmanager
def _reading(file: io.BufferedIOBase, where: str) -> Iterator[None]:
    try:
        yield
    except READING as error:
        if isinstance(error, ScidataError):
            raise
        raw = getattr(file, "raw", None)
        if isinstance(raw, StoredFile) and raw.failure is not None:
            raise raw.failure from error
        raise InvalidError(
            f"it cannot be read as NetCDF or HDF5: {error}",
            where=where,
            fix="fetch the file with scidata pull and open it with another tool; its bytes are "
            "those that were published",
        ) from error


def _require_scipy(where: str) -> None:
    if find_spec("scipy") is None:
        raise InvalidError(
            "the file is NetCDF 3, which xarray reads by scipy, and scipy is not installed",
            where=where,
            fix="pip install scipy",
        )

"""References: files in HDF5 or NetCDF as one Zarr store, without a copy of their data.

Only headers are read. What comes of it is an index in plain text that says, for every chunk of
every array, in which file it lies and where; fsspec's ``reference://`` opens it for xarray.
"""

from collections.abc import Iterable
from typing import IO

from scidata.errors import InvalidError
from scidata.references.combine import BASE, Combination, Referenced
from scidata.references.stored import Along, Header, StoredArray

__all__ = [
    "BASE",
    "Along",
    "Combination",
    "Header",
    "Referenced",
    "StoredArray",
    "read_header",
    "write_references",
]

HDF5 = b"\x89HDF\r\n\x1a\n"
NETCDF3 = b"CDF"
MAX_USER_BLOCK = 2**20


def read_header(file: IO[bytes], along: Along, *, where: str) -> Header:
    """Read the header of a file in HDF5, NetCDF-4 or NetCDF-3, whatever it is called.

    Parameters
    ----------
    file : binary file
        That can seek; of a remote one only what is needed is asked for.
    along : Along
        The dimension by which files will be put together: it decides which small values are
        read.
    where : str
        For messages.

    Raises
    ------
    InvalidError
        If it is none of these, or damaged.
    """
    magic = file.read(len(HDF5))
    file.seek(0)
    if magic.startswith(NETCDF3):
        from scidata.references.netcdf3 import read_netcdf3

        return read_netcdf3(file, along, where=where)
    if magic == HDF5 or _has_user_block(file):
        from scidata.references.hdf5 import read_hdf5

        return read_hdf5(file, along, where=where)
    raise InvalidError(
        "it is neither HDF5 nor NetCDF",
        where=where,
        fix="leave it out: references are made of HDF5, NetCDF-4 and NetCDF-3",
    )


def write_references(
    out: IO[str],
    files: Iterable[tuple[str, str, Header]],
    *,
    base: str,
    along: Along,
) -> Referenced:
    """Write the index of some files.

    Parameters
    ----------
    out : text file
    files : iterable of (str, str, Header)
        Name, href below `base`, and header of each, in the order of the joined dimension;
        taken one by one.
    base : str
        Where all files lie: a folder's ``file://`` URL, ``s3://bucket/prefix`` or
        ``https://host/path``. Readers may give another, as fsspec's ``template_overrides``.
    along : Along

    Raises
    ------
    InvalidError
        If a file's layout differs: which file, which arrays, and how.
    """
    combination = Combination(out, base, along)
    for name, href, header in files:
        combination.add(name, href, header)
    return combination.finish()


def _has_user_block(file: IO[bytes]) -> bool:
    """Look for the signature where a block of a user's own may precede it."""
    at = 512
    while at <= MAX_USER_BLOCK:
        file.seek(at)
        found = file.read(len(HDF5))
        if found == HDF5:
            file.seek(0)
            return True
        if len(found) < len(HDF5):
            break
        at *= 2
    file.seek(0)
    return False

"""Which group of an array store or a file is meant; Zarr and HDF5 have the same groups."""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from scidata.errors import NotFoundError

if TYPE_CHECKING:
    import xarray as xr

MAX_NAMED = 20


def open_chosen(
    group: str | None,
    *,
    open_one: "Callable[[str], xr.Dataset | None]",
    holding: Callable[[], Collection[str]],
    where: str,
) -> "xr.Dataset":
    """Open the group that is asked for, else the root, else the only one with variables.

    Parameters
    ----------
    group : str or None
        Path of a group, ``/`` for the root.
    open_one : callable
        Opens a group by its path, "" for the root; None if there is none.
    holding : callable
        Returns the paths of the groups that hold variables; called only if it matters.
    where : str
        For messages.

    Raises
    ------
    NotFoundError
        If there is no such group, or several groups hold variables and the root none.
    """
    wanted = (group or "").strip("/")
    opened = open_one(wanted)
    if opened is None:
        raise NotFoundError(
            f"no group {wanted!r}; variables are in {_named(holding())}",
            where=where,
            fix="choose one of these: to_xarray(asset, group=…)",
        )
    if group is not None or opened.variables:
        return opened
    groups = holding()
    if len(groups) > 1:
        raise NotFoundError(
            f"the root holds no variables, the groups {_named(groups)} do",
            where=where,
            fix=f"name a group: to_xarray(asset, group={min(groups)!r})",
        )
    only = open_one(next(iter(groups))) if groups else None
    return opened if only is None else only


def _named(groups: Collection[str]) -> str:
    names = [repr(name or "/") for name in sorted(groups)]
    more = len(names) - MAX_NAMED
    return ", ".join(names[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")

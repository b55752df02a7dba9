"""What changed between two versions, or two folders: files, and what arrays and tables say.

Files are compared by digest; a file counts as renamed if the other side has its bytes under
another name alone. Variables come from ``meta/facts.json``, statistics from the version's own
``data/statistics.json``; no array is opened.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from scidata.errors import InvalidError, NotFoundError
from scidata.facts import STATISTICS, Asset, Facts
from scidata.hashing import Progress
from scidata.locations import read_index
from scidata.manifest import Manifest
from scidata.measure import measure
from scidata.published import read_facts, read_file, read_published
from scidata.resolve import resolve_or_folder
from scidata.storage import StoreLike, open_store

MAX_STATISTICS_BYTES = 16 * 2**20
_FIELDS = ("dtype", "dims", "shape", "units", "standard_name", "description", "coordinate")
_UNNAMED = "folder"

Plain: TypeAlias = str | int | float | bool | list[Any] | None  # Any: JSON


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two that are compared."""

    name: str
    """``tevolop@1.0.0``, or the folder."""
    manifest: Manifest
    sizes: Mapping[str, int]
    facts: Facts
    statistics: Mapping[str, Any]
    """Of all assets, by key, as ``data/statistics.json`` has them. Any: JSON."""


@dataclass(frozen=True, kw_only=True)
class Renamed:
    """A file that has another path, and the same bytes."""

    before: str
    after: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Changed:
    """Something of an asset that is not as it was; None stands for what is not there."""

    asset: str
    variable: str | None
    """None if it is of the asset as a whole."""
    what: str
    """``kind``, ``variable``, ``shape``, ``units``, ``statistics.mean`` and so on."""
    before: Plain
    after: Plain


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What `diff` found; the files sorted by path."""

    before: str
    after: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    renamed: tuple[Renamed, ...]
    unchanged: int
    """Files that are the same."""
    new_bytes: int
    """Of added and changed files, as they are now."""
    gone_bytes: int
    """Of removed and changed files, as they were."""
    assets: tuple[Changed, ...]

    @property
    def same(self) -> bool:
        """Whether no file differs."""
        return not (self.added or self.removed or self.changed or self.renamed)


def diff(
    before: str | Path,
    after: str | Path,
    store: StoreLike | None = None,
    *,
    progress: Progress | None = None,
) -> Difference:
    """Compare two versions of a store, two local folders, or one of each.

    Parameters
    ----------
    before, after : str or Path
        ``tevolop@1.0.0``, or a folder with ``data/``, whose files are then hashed.
    store : Store, str, Path or None
        Of the versions. By default ``$SCIDATA_STORE``, else the user's data folder.
    progress : Progress, optional
        Bytes of folders that are hashed.

    Raises
    ------
    NotFoundError
        If there is no such folder or version.
    InvalidError
        If a folder holds no data, or names that could not be published.
    IntegrityError
        If what describes a version is damaged.
    StorageError
        If the store or a folder cannot be read.
    """
    sides = [_side(which, store, progress) for which in (before, after)]
    return compare(*sides)


def compare(before: Side, after: Side) -> Difference:
    """Compare two sides: a pure function."""
    was, now = before.manifest.hexes, after.manifest.hexes
    removed, added = was.keys() - now.keys(), now.keys() - was.keys()
    changed = [path for path in was if path in now and was[path] != now[path]]
    renamed = tuple(_renamed(removed, added, before, after))
    removed -= {item.before for item in renamed}
    added -= {item.after for item in renamed}
    return Difference(
        before=before.name,
        after=after.name,
        added=_sorted(added),
        removed=_sorted(removed),
        changed=_sorted(changed),
        renamed=renamed,
        unchanged=sum(1 for path in was if now.get(path) == was[path]),
        new_bytes=sum(after.sizes[path] for path in (*added, *changed)),
        gone_bytes=sum(before.sizes[path] for path in (*removed, *changed)),
        assets=tuple(_assets(before, after)),
    )


def _side(which: str | Path, store: StoreLike | None, progress: Progress | None) -> Side:
    folder = Path(which)
    if folder.is_dir():
        return _folder(folder, progress)
    if isinstance(which, Path) or ("/" in which and "@" not in which):
        raise NotFoundError(
            f"there is no folder {str(which)!r}",
            where=str(folder.absolute().parent),
            fix="give an existing folder, or a version such as tevolop@1.0.0",
        )
    opened = open_store(store)
    commit = resolve_or_folder(which, opened)
    published = read_published(opened, commit)
    statistics = b"{}"
    if STATISTICS in published.manifest:
        statistics = read_file(published, STATISTICS, limit=MAX_STATISTICS_BYTES)
    return Side(
        name=commit.name,
        manifest=published.manifest,
        sizes=read_index(opened, commit, published.manifest).sizes,
        facts=read_facts(opened, commit),
        statistics=parse_statistics(statistics),
    )


def _folder(folder: Path, progress: Progress | None) -> Side:
    measured = measure(folder, dataset=_UNNAMED, version="0.0.0", created="", progress=progress)
    statistics = b"{}"
    if measured.sizes.get(STATISTICS, MAX_STATISTICS_BYTES + 1) <= MAX_STATISTICS_BYTES:
        statistics = (folder / STATISTICS).read_bytes()
    return Side(
        name=str(folder),
        manifest=measured.manifest,
        sizes=measured.sizes,
        facts=measured.facts,
        statistics=parse_statistics(statistics),
    )


def parse_statistics(data: bytes) -> Mapping[str, Any]:  # Any: JSON
    """Read ``data/statistics.json``: what it says of each asset, by key.

    Raises
    ------
    InvalidError
        If it is not JSON.
    """
    try:
        assets = json.loads(data).get("assets", {})
    except (ValueError, RecursionError, AttributeError) as error:
        raise InvalidError(
            "the statistics are not JSON", where=STATISTICS, fix="see: scidata check DIR"
        ) from error
    return assets if isinstance(assets, dict) else {}


def _renamed(
    removed: Iterable[str], added: Iterable[str], before: Side, after: Side
) -> Iterator[Renamed]:
    """Pair files of equal bytes, in the order of their paths; no file is paired twice."""
    waiting: dict[str, list[str]] = {}
    for path in reversed(_sorted(removed)):
        waiting.setdefault(before.manifest.hexes[path], []).append(path)
    for path in _sorted(added):
        if paths := waiting.get(after.manifest.hexes[path]):
            yield Renamed(before=paths.pop(), after=path, bytes=after.sizes[path])


def _assets(before: Side, after: Side) -> Iterator[Changed]:
    was = {asset.key: asset for asset in before.facts.assets}
    now = {asset.key: asset for asset in after.facts.assets}
    for key in sorted(was.keys() | now.keys()):
        old, new = was.get(key), now.get(key)
        if old is None or new is None or old.kind != new.kind:
            kinds = [None if asset is None else asset.kind for asset in (old, new)]
            yield Changed(
                asset=key, variable=None, what="kind", before=kinds[0], after=kinds[1]
            )
        if old is not None and new is not None:
            yield from _variables(old, new)
            yield from _values(key, before.statistics, after.statistics)


def _variables(old: Asset, new: Asset) -> Iterator[Changed]:
    was = {variable.name: variable for variable in old.variables}
    now = {variable.name: variable for variable in new.variables}
    for name in sorted(was.keys() | now.keys()):
        if name not in was or name not in now:
            there = [_shape(was.get(name)), _shape(now.get(name))]
            yield Changed(
                asset=new.key, variable=name, what="variable", before=there[0], after=there[1]
            )
            continue
        fields = [variable.model_dump(mode="json") for variable in (was[name], now[name])]
        for field in _FIELDS:
            if fields[0][field] != fields[1][field]:
                yield Changed(
                    asset=new.key,
                    variable=name,
                    what=field,
                    before=fields[0][field],
                    after=fields[1][field],
                )


def _shape(variable: Any) -> Plain:  # Any: a variable or none
    return None if variable is None else list(variable.shape)


def _values(key: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Changed]:
    """Compare count, mean, deviation and range of each variable that both have."""
    was, now = (by_variable(side.get(key)) for side in (before, after))
    for name in sorted(was.keys() & now.keys()):
        for field in sorted(was[name].keys() | now[name].keys()):
            old, new = was[name].get(field), now[name].get(field)
            if old != new:
                yield Changed(
                    asset=key,
                    variable=name,
                    what=f"statistics.{field}",
                    before=old,
                    after=new,
                )


def by_variable(asset: object) -> dict[str, dict[str, Any]]:  # Any: JSON
    """Return the statistics of each variable of one asset; what is malformed is left out."""
    held = asset.get("variables") if isinstance(asset, dict) else None
    if not isinstance(held, dict):
        return {}
    return {str(name): values for name, values in held.items() if isinstance(values, dict)}


def _sorted(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(paths, key=str.encode))

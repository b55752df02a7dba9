"""Writes ``catalogs/``, the public catalog of the founding datasets, from ``metadata/``.

For a checkout: ``python -m scidata.catalog catalogs``. What it says is decided by
`scidata.formats.founding`.
"""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from scidata.digest import Digest
from scidata.errors import InvalidError, NotFoundError
from scidata.formats.founding import Shipped, public_catalogs
from scidata.formats.text import license_label
from scidata.record import Record, parse_record

ROOTS = ("index.yaml", "catalog.json")
EARTHQUAKES = "scedc_socal_1950_2026_m2.5.csv.gz"


def founding_records() -> list[Record]:
    """Read the founding datasets' records from the package, by name."""
    folder = files("scidata") / "metadata"
    found = sorted(item.name for item in folder.iterdir() if item.name.endswith(".yaml"))
    return [parse_record((folder / name).read_bytes(), where=name) for name in found]


def plan_public_catalogs(endpoints: Mapping[str, str] | None = None) -> dict[str, bytes]:
    """Decide what every file of ``catalogs/`` says, by its path in there."""
    records = founding_records()
    return public_catalogs(records, _shipped(records), endpoints=endpoints)


def check_folder(folder: Path) -> None:
    """Raise unless a folder holds catalogs already, so that no other is written into.

    Raises
    ------
    NotFoundError
        If it does not exist.
    InvalidError
        If it is a file, or has neither of the root catalogs.
    """
    fix = "give the folder catalogs/ of a checkout of scidata"
    if not folder.exists():
        raise NotFoundError(f"there is no folder {str(folder)!r}", where=str(folder), fix=fix)
    if not all((folder / name).is_file() for name in ROOTS):
        raise InvalidError(
            f"{str(folder)!r} is no folder of catalogs: it lacks {' or '.join(ROOTS)}",
            where=str(folder),
            fix=fix,
        )


def write_public_catalogs(
    folder: Path, endpoints: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Write the files; return the paths of those that changed."""
    changed: list[str] = []
    for path, data in plan_public_catalogs(endpoints).items():
        target = folder / path
        if not target.is_file() or target.read_bytes() != data:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            changed.append(path)
    return tuple(changed)


def _shipped(records: list[Record]) -> list[Shipped]:
    data = (files("scidata") / "catalogs" / "tevolop" / EARTHQUAKES).read_bytes()
    record = next(record for record in records if record.id == "tevolop")
    return [
        Shipped(
            dataset="tevolop",
            name="earthquakes-m2.5",
            title="Seismic events of magnitude 2.5 and above, Southern California",
            file=EARTHQUAKES,
            bytes=len(data),
            sha256=Digest.of(data).hex,
            license_note=license_label(record),
            source="Southern California Earthquake Data Center, doi:10.7909/C3WD3xH1; "
            "`scidata build tevolop` makes the dataset from this table",
        )
    ]

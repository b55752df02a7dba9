"""Open an Intake catalog that nobody has to trust: pinned, limited, and unable to run code.

Plain ``intake.open_catalog`` opens the same files and adds none of this; what a catalog may say
here is in `scidata.catalog.rules`. Data are read through Intake unchanged, so bytes are checked
by `scidata.pull`, `scidata.verify` and `scidata.open`, not by an entry's ``read()``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scidata.catalog.fetch import Fetched, fetch, shown
from scidata.catalog.rules import catalog_problems, folder_problems
from scidata.digest import Digest
from scidata.errors import Damage, IntegrityError, InvalidError
from scidata.formats import intake_entries as forms
from scidata.record.safe_yaml import read_yaml

MAX_CATALOG_BYTES = 16 * 2**20
"""Room for the 20,000 datasets that `scidata.catalog.rules` admits in a root."""
MAX_PROBLEMS = 20


def open_catalog(
    url: str | Path,
    *,
    digest: str | Digest | None = None,
    storage_options: Mapping[str, Any] | None = None,  # Any: fsspec's own options
) -> Any:  # Any: intake ships no types; it is an intake.readers.entry.Catalog
    """Open a catalog and check it first.

    Parameters
    ----------
    url : str or Path
        The YAML file: a path, ``file://``, ``s3://`` (the usual AWS environment applies),
        ``https://`` or ``http://``.
    digest : str or Digest, optional
        ``sha256:…`` that the file must have. A pinned catalog of a version pins, through its
        own digest of the manifest, every byte of the data.
    storage_options : mapping, optional
        fsspec's, such as ``{"anon": True}``; they reach the data below the catalog, too.

    Returns
    -------
    intake.readers.entry.Catalog
        ``list(catalog)`` names the entries, ``catalog["grid"].read()`` opens one. Catalogs in
        it go through the same checks.

    Raises
    ------
    NotFoundError
        If there is no such file.
    IntegrityError
        If it has another digest.
    InvalidError
        If it is larger than 16 MiB, is not YAML, or says anything that is not on the list of
        `scidata.catalog.rules`; every such place is a problem.
    StorageError
        If it cannot be reached.
    """
    options = dict(storage_options or {})
    fetched = fetch(str(url), options, limit=MAX_CATALOG_BYTES)
    if digest is not None:
        _check_digest(fetched, Digest.parse(str(digest)))
    document = _read(fetched)
    return _build(document, fetched, options)


def _check_digest(fetched: Fetched, expected: Digest) -> None:
    found = Digest.of(fetched.data)
    if found != expected:
        raise IntegrityError(
            f"the catalog differs: expected {expected}, found {found}",
            where=shown(fetched.url),
            fix="fetch it again; if it repeats, somebody changed it: ask for its digest anew",
            damage=[
                Damage(
                    path=shown(fetched.url),
                    state="bad",
                    expected=str(expected),
                    found=str(found),
                )
            ],
        )


def _read(fetched: Fetched) -> dict[str, Any]:  # Any: YAML, checked here
    value, unread = read_yaml(fetched.data, where=shown(fetched.url), limit=MAX_CATALOG_BYTES)
    problems = [*unread, *catalog_problems(value, reach=fetched.reach)]
    if not problems and isinstance(value, dict) and not fetched.folder.startswith("file://"):
        problems += folder_problems(value)
    if problems or not isinstance(value, dict):
        raise InvalidError(
            f"the catalog is refused: {problems[0].message}",
            where=shown(fetched.url),
            fix=problems[0].fix,
            problems=problems[:MAX_PROBLEMS],
        )
    return value


def _build(
    document: dict[str, Any],  # Any: YAML, checked
    fetched: Fetched,
    options: dict[str, Any],  # Any: fsspec's own options
) -> Any:  # Any: intake ships no types
    from intake.readers.entry import Catalog

    for entry in document["entries"].values():
        if entry["reader"] == forms.CATALOG.reader:
            entry["reader"] = "scidata.catalog.nested:CheckedCatalogReader"
    catalog = Catalog.from_dict(document)
    places: dict[str, Any] = catalog.user_parameters  # Any: Intake keeps plain values there
    places |= {
        "CATALOG_PATH": fetched.url,
        "CATALOG_DIR": fetched.folder,
        "STORAGE_OPTIONS": options,
    }
    return catalog

"""Variables of array stores and tables, read from ``zarr.json`` and Parquet footers only.

No chunk and no row is read, so a store of terabytes costs its metadata. The files are not
trusted: sizes are limited, JSON is parsed as data, and nothing in them names code to run.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scidata.errors import InvalidError
from scidata.facts import Variable

if TYPE_CHECKING:
    import pyarrow as pa

ZARR_METADATA = "zarr.json"
MAX_METADATA_BYTES = 64 * 2**20
MAX_VARIABLES = 10_000
_ROOT = ""
_LABELS = ("coordinates", "bounds", "grid_mapping")
_FIX = "write arrays as Zarr v3 and tables as Parquet; `scidata build` does"
_V2 = (".zgroup", ".zarray", ".zmetadata")
_CONVERT = (
    "convert it, with xarray: open_zarr(OLD).drop_encoding().to_zarr(NEW, zarr_format=3, "
    "consolidated=True)"
)
_TRAILER = 8  # a Parquet file ends with the footer's length and b"PAR1"


def zarr_variables(root: Path) -> tuple[tuple[Variable, ...], bool]:
    """Read the arrays of a Zarr v3 store.

    Returns
    -------
    variables : tuple of Variable
        Sorted by name; in nested groups the name is the path, such as ``coarse/depth``.
    consolidated : bool
        Whether the root holds the metadata of every array.

    Raises
    ------
    InvalidError
        If the store is not Zarr v3, or its metadata is malformed or larger than 64 MiB.
    """
    top = _read_node(root / ZARR_METADATA)
    consolidated = _consolidated(top)
    nodes = {_ROOT: top, **(consolidated or dict(_walk(root)))}
    if len(nodes) > MAX_VARIABLES:
        raise _refusal(root, f"holds {len(nodes)} arrays and groups, more than {MAX_VARIABLES}")
    arrays = {path: node for path, node in nodes.items() if node.get("node_type") == "array"}
    labels = _coordinates(nodes)
    variables = [_zarr_variable(path, node, labels, root) for path, node in arrays.items()]
    return tuple(sorted(variables, key=lambda v: v.name)), consolidated is not None


def parquet_variables(files: list[Path]) -> tuple[Variable, ...]:
    """Read the columns of a table: one Parquet file, or several with the same schema.

    Raises
    ------
    InvalidError
        If there is no file, one is not Parquet, its footer is larger than 64 MiB, or two
        schemas differ.
    """
    if not files:
        raise InvalidError(
            "the table has no file",
            where="data",
            fix="put its Parquet files into the folder, or remove it",
        )
    footers = [_read_footer(path) for path in files]
    schema, _ = footers[0]
    for path, (other, _rows) in zip(files, footers, strict=True):
        if not other.equals(schema):
            raise _refusal(path, f"has other columns than {files[0].name}")
    rows = sum(count for _, count in footers)
    return tuple(_column(schema.field(i), rows) for i in range(len(schema.names)))


def _read_node(path: Path) -> dict[str, Any]:  # Any: JSON
    try:
        size = path.stat().st_size
        if size > MAX_METADATA_BYTES:
            raise _refusal(path, f"is {size} bytes long, more than {MAX_METADATA_BYTES}")
        node = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        if any((path.parent / name).exists() for name in _V2):
            raise _refusal(path.parent, "is Zarr v2, not v3", fix=_CONVERT) from error
        raise _refusal(path.parent, "has no zarr.json, so it is not Zarr v3") from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, InvalidError):
            raise
        raise _refusal(path, "is not JSON") from error
    return _checked_node(node, path)


def _checked_node(node: object, path: Path) -> dict[str, Any]:  # Any: JSON
    if not isinstance(node, dict) or node.get("zarr_format") != 3:  # noqa: PLR2004 the format
        raise _refusal(path, "is not the metadata of a Zarr v3 array or group")
    if not isinstance(node.get("attributes", {}), dict):
        raise _refusal(path, "has attributes that are not an object")
    return node


def _consolidated(top: dict[str, Any]) -> dict[str, dict[str, Any]] | None:  # Any: JSON
    held = top.get("consolidated_metadata")
    if held is None:
        return None
    nodes = held.get("metadata") if isinstance(held, dict) else None
    if not isinstance(nodes, dict):
        raise _refusal(Path(ZARR_METADATA), "has consolidated metadata that is not an object")
    return {path: _checked_node(node, Path(path)) for path, node in nodes.items()}


def _walk(root: Path) -> Iterator[tuple[str, dict[str, Any]]]:  # Any: JSON
    """Yield every node below a group; never looks into an array, where the chunks are."""
    for entry in sorted(root.iterdir()):
        if entry.is_dir() and (entry / ZARR_METADATA).is_file():
            node = _read_node(entry / ZARR_METADATA)
            yield entry.name, node
            if node.get("node_type") == "group":
                for path, below in _walk(entry):
                    yield f"{entry.name}/{path}", below


def _coordinates(nodes: Mapping[str, dict[str, Any]]) -> frozenset[str]:  # Any: JSON
    """Names that CF attributes list as labels of others, within their own group."""
    names: set[str] = set()
    for path, node in nodes.items():
        group = path if node.get("node_type") == "group" else path.rpartition("/")[0]
        attributes = node.get("attributes", {})
        for listed in (_text(attributes, name) for name in _LABELS):
            words = (listed or "").replace(":", " ").split()
            names |= {f"{group}/{name}".lstrip("/") for name in words}
    return frozenset(names)


def _zarr_variable(
    path: str,
    node: dict[str, Any],  # Any: JSON
    labels: frozenset[str],
    root: Path,
) -> Variable:
    shape = node.get("shape")
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise _refusal(root / path / ZARR_METADATA, "has no shape of whole numbers")
    names = node.get("dimension_names") or [None] * len(shape)
    if not isinstance(names, list) or len(names) != len(shape):
        raise _refusal(root / path / ZARR_METADATA, "names another number of dimensions")
    dims = tuple(str(n) if n else f"dim_{i}" for i, n in enumerate(names))
    attributes = node.get("attributes", {})
    return Variable(
        name=path,
        dtype=_zarr_dtype(node.get("data_type")),
        dims=dims,
        shape=tuple(shape),
        units=_text(attributes, "units"),
        description=_text(attributes, "long_name") or _text(attributes, "description"),
        standard_name=_text(attributes, "standard_name"),
        coordinate=path in labels or dims == (path.rpartition("/")[2],),
    )


def _zarr_dtype(declared: object) -> str:
    if isinstance(declared, dict):
        configuration = declared.get("configuration")
        unit = configuration.get("unit") if isinstance(configuration, dict) else None
        return f"{declared.get('name')}[{unit}]" if unit else str(declared.get("name"))
    return str(declared)


def _text(attributes: Mapping[str, object], name: str) -> str | None:
    value = attributes.get(name)
    return value.strip() or None if isinstance(value, str) else None


def _read_footer(path: Path) -> "tuple[pa.Schema, int]":
    import pyarrow as pa
    import pyarrow.parquet as pq

    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TRAILER))
        trailer = file.read(_TRAILER)
    if trailer[4:] != b"PAR1":
        raise _refusal(path, "is not Parquet: its last bytes are not PAR1")
    if int.from_bytes(trailer[:4], "little") > MAX_METADATA_BYTES:
        raise _refusal(path, f"has a footer of more than {MAX_METADATA_BYTES} bytes")
    try:
        with pq.ParquetFile(path) as table:
            return table.schema_arrow, table.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        raise _refusal(path, f"has a damaged footer: {error}") from error


def _column(field: "pa.Field", rows: int) -> Variable:
    # Bytes, of any encoding: what is no text is no note.
    written: Mapping[bytes, bytes] = field.metadata or {}
    notes = {k.decode(errors="replace"): v.decode(errors="replace") for k, v in written.items()}
    notes = {k: v for k, v in notes.items() if "\ufffd" not in k + v}
    return Variable(
        name=field.name,
        dtype=str(field.type),
        dims=("row",),
        shape=(rows,),
        units=_text(notes, "units"),
        description=_text(notes, "description") or _text(notes, "long_name"),
        standard_name=_text(notes, "standard_name"),
    )


def _refusal(path: Path, message: str, *, fix: str = _FIX) -> InvalidError:
    return InvalidError(f"{path.name!r} {message}", where=str(path), fix=fix)

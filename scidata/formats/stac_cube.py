"""An asset's variables in the words of STAC's datacube, table and zarr extensions."""

import re
from collections.abc import Iterable, Mapping

from scidata.facts import Asset, Variable
from scidata.record import Record, VariableNote

# STAC's data types; others, such as text and times, are "other".
_DATA_TYPES = {
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    *(f"float{bits}" for bits in (16, 32, 64)),
}
_ARROW_TYPES = {"halffloat": "float16", "float": "float32", "double": "float64"}
_TIME_UNITS = re.compile(r"\w+ since .+")


def cube_fields(record: Record, asset: Asset) -> dict[str, object]:
    """Return ``cube:dimensions``, ``cube:variables`` and ``zarr:*`` of an array store."""
    return {
        "cube:dimensions": _dimensions(asset.variables),
        "cube:variables": {v.name: _variable(record, asset, v) for v in asset.variables},
        "zarr:consolidated": asset.consolidated,
        "zarr:node_type": "group",
        "zarr:zarr_format": 3,
    }


def table_fields(record: Record, asset: Asset) -> dict[str, object]:
    """Return ``table:columns`` and ``table:row_count`` of a table."""
    return {
        "table:columns": [_column(record, asset, v) for v in asset.variables],
        "table:row_count": asset.variables[0].shape[0] if asset.variables else 0,
    }


def variable_note(record: Record, asset: Asset, name: str) -> VariableNote | None:
    """Return what the record says of a variable: of this asset first, else of any."""
    notes = [note for note in record.variables if note.name == name]
    own = [note for note in notes if note.asset == asset.key]
    shared = [note for note in notes if note.asset is None]
    return next(iter([*own, *shared]), None)


def describe(record: Record, asset: Asset, variable: Variable) -> tuple[str | None, str | None]:
    """Return description and unit; the record's description, and the unit of the data."""
    note = variable_note(record, asset, variable.name)
    description = (note and note.description) or variable.description
    return description, variable.units or (note and note.units) or None


def _dimensions(variables: Iterable[Variable]) -> dict[str, object]:
    """Return each dimension as an index: values are read from the data, not repeated here."""
    variables = list(variables)
    sizes = {d: n for v in variables for d, n in zip(v.dims, v.shape, strict=True)}
    labels = {v.name: v for v in variables if v.dims == (v.name,)}
    return {name: _dimension(size, labels.get(name)) for name, size in sizes.items()}


def _dimension(size: int, label: Variable | None) -> dict[str, object]:
    if label is not None and _TIME_UNITS.fullmatch(label.units or ""):
        return {"type": "temporal", "extent": [None, None], "description": f"{size} steps"}
    last = size - 1 if size else None
    return {"type": "index", "extent": [0 if size else None, last]}


def _variable(record: Record, asset: Asset, variable: Variable) -> dict[str, object]:
    description, unit = describe(record, asset, variable)
    return _known(
        {
            "dimensions": list(variable.dims),
            "variable_type": "auxiliary" if variable.coordinate else "data",
            "data_type": variable.dtype if variable.dtype in _DATA_TYPES else "other",
            "description": description,
            "unit": unit,
        }
    )


def _column(record: Record, asset: Asset, variable: Variable) -> dict[str, object]:
    description, unit = describe(record, asset, variable)
    return _known(
        {
            "name": variable.name,
            "type": _ARROW_TYPES.get(variable.dtype, variable.dtype),
            "description": description,
            "unit": unit,
        }
    )


def _known(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}

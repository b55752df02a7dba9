"""What a column or an array variable measures, as a plot needs to know it: role, label, unit.

Pure. The role that a record gives counts first, then units and CF attributes, and names only
where neither says anything.
"""

import re
from dataclasses import dataclass
from typing import Literal

from scidata.wording import printable

Kind = Literal["number", "whole", "time", "text", "truth", "other"]

MAX_LABEL = 48
_EAST = {"degrees_east", "degree_east", "degrees_e", "degree_e", "degreese", "degreee"}
_NORTH = {"degrees_north", "degree_north", "degrees_n", "degree_n", "degreesn", "degreen"}
_IDENTIFIER = re.compile(r"(^|_)([iI]d|ID|index|number|line|row|fid)$|(?<=[a-z])I[dD]$")
_MASK = re.compile(r"\b(mask|flags?|segmentation|land cover|classes)\b", re.IGNORECASE)
_ENDING = re.compile(
    r"(.+)_(uM|nM|mM|M|pct|percent|K|keV|eV|rad|mrad|deg|angstrom|nm|um|mm|cm|m|km|ms|s|Hz|kHz|MHz)"
)
_SPELLED = {"pct": "%", "percent": "%", "um": "µm", "uM": "µM"}
_LOGARITHM = re.compile(r"(lg|ln|lb)\s*\(re:? ?1? ?(.*?)\)")
_BASES = {"lg": "log10", "ln": "ln", "lb": "log2"}
_MICRO = re.compile(r"\bu(?=[mgMlsA])")
_DIFFRACTION = re.compile(r"diffract|\bcbed\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A column of a table, or a variable of an array store."""

    name: str
    kind: Kind
    units: str | None = None
    standard_name: str | None = None
    description: str | None = None
    flagged: bool = False
    """Has CF attributes that name flags."""
    role: str | None = None
    """As the record's note says, see `scidata.record.contents.Role`."""

    @property
    def phrase(self) -> str:
        """The name as words within a sentence, such as ``wind speed``; CF's name first."""
        name = self.standard_name or self._name_and_unit[0]
        words = short(name.replace("_", " ").strip() or self.name)
        if words.startswith("toa "):  # CF writes the abbreviation in small letters
            words = f"TOA{words[3:]}"
        return words[:1].lower() + words[1:] if words[1:2].islower() else words

    @property
    def title(self) -> str:
        """The name as words, such as ``Magnitude ahead``."""
        return self.phrase[:1].upper() + self.phrase[1:]

    @property
    def label(self) -> str:
        """Title and unit, as an axis says them."""
        unit = self.unit
        return f"{self.title} ({unit})" if unit else self.title

    @property
    def unit(self) -> str:
        """The unit in words; empty for a number without one. Else what the name ends with."""
        if self.units is None:
            return self._name_and_unit[1]
        if found := _LOGARITHM.fullmatch(self.units):  # UDUNITS' spelling of a logarithm
            return short(f"{_BASES[found[1]]} {_MICRO.sub('µ', found[2])}".strip())
        return "" if self.units in ("", "1") else short(self.units.replace("_", " "))

    @property
    def is_logarithm(self) -> bool:
        """Whether values are logarithms to base 10, as the unit says."""
        return self.units is not None and self.units.startswith("lg")

    @property
    def is_longitude(self) -> bool:
        """Degrees east."""
        return self._is_place("longitude", _EAST, {"longitude", "lon", "long"})

    @property
    def is_latitude(self) -> bool:
        """Degrees north."""
        return self._is_place("latitude", _NORTH, {"latitude", "lat"})

    @property
    def is_identifier(self) -> bool:
        """Names a thing, and measures nothing."""
        return self.kind in ("whole", "text") and bool(_IDENTIFIER.search(self.name))

    @property
    def is_mask(self) -> bool:
        """Whole numbers that say what a pixel is."""
        said = f"{self.name.replace('_', ' ')} {self.standard_name or ''} {self.description}"
        named = bool(_MASK.search(said.replace("_", " ")))
        is_one = self.role == "mask" or self.flagged or named
        return self.kind in ("whole", "truth") and is_one

    @property
    def is_diffraction(self) -> bool:
        """Intensity of a diffraction pattern, or its logarithm."""
        if self.role is not None:
            return self.role in ("pattern", "log-pattern")
        return bool(_DIFFRACTION.search(f"{self.name.replace('_', ' ')} {self.description}"))

    @property
    def _name_and_unit(self) -> tuple[str, str]:
        """Part ``dose_uM`` into a name and a unit, unless the unit is known otherwise."""
        name = self.name.rpartition("/")[2]
        found = _ENDING.fullmatch(name)
        return (found[1], _SPELLED.get(found[2], found[2])) if found else (name, "")

    def _is_place(self, standard: str, units: set[str], names: set[str]) -> bool:
        if self.kind not in ("number", "whole"):
            return False
        if self.standard_name is not None:
            return self.standard_name == standard
        if self.units not in (None, "", "1"):
            return str(self.units).lower() in units
        return self.name.lower() in names


def kind_of(dtype: str) -> Kind:
    """Return the kind that a type of NumPy, pandas or Arrow has.

    Examples
    --------
    >>> [kind_of(t) for t in ("float64", "double", "int32", "datetime64[ns]", "string", "bool")]
    ['number', 'number', 'whole', 'time', 'text', 'truth']
    >>> [kind_of(t) for t in ("list<element: string>", "struct<b: double>")]
    ['other', 'other']
    """
    name = dtype.lower()
    if re.match(r"struct|map|(large_|fixed_size_)?list", name):
        return "other"
    found: tuple[tuple[Kind, str], ...] = (
        ("time", r"datetime|timestamp|date32|date64"),
        ("truth", r"bool"),
        ("number", r"float|double|decimal"),
        ("whole", r"^[<>=|]?u?i(nt)?\d*"),
        ("text", r"str|object|utf8|category|dictionary"),
    )
    for kind, pattern in found:
        if re.search(pattern, name):
            return kind
    return "other"


def short(text: str, width: int = MAX_LABEL) -> str:
    """Write a text of anybody's on one line of limited length."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= width else f"{line[: width - 1]}…"


def preferred(names: tuple[str, ...], first: tuple[str, ...]) -> tuple[str, ...]:
    """Order names: those of `first` as they are there, then the others as they are.

    Examples
    --------
    >>> preferred(("depth", "magnitude", "rms"), ("magnitude",))
    ('magnitude', 'depth', 'rms')
    """
    there = [name for name in first if name in names]
    return (*dict.fromkeys(there), *(name for name in names if name not in there))

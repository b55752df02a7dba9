"""What a record says of the data: variables, splits, and what a sample is."""

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    StrictBool,
    StrictInt,
    ValidationInfo,
    field_validator,
)

from scidata.identifiers import refusal
from scidata.record.fields import (
    Count,
    Filled,
    Line,
    Name,
    Text,
    check_distinct,
    check_unique,
)
from scidata.record.parts import Part

Role = Literal[
    "dose",
    "ec50",
    "einf",
    "log-pattern",
    "magnitude",
    "mask",
    "pattern",
    "response",
    "slope",
]
"""What a plot takes a variable for. A dose is a logarithm to base 10 if its unit says so; ec50,
slope and einf are the parameters of the Hill curve einf + (1 - einf) / (1 + 10^(slope (dose -
ec50))) of a row. A pattern is intensity on a detector, a log-pattern its logarithm. A magnitude
is that of an earthquake. A mask says of each pixel what it is."""


class VariableNote(Part):
    """What a variable means; its type, dimensions and shape are read from the data."""

    name: Name
    asset: Name | None = None
    """The asset's key, if only that one has it or it means something else there."""
    description: Text
    units: Line | None = None
    """UDUNITS; ``1`` for a number without unit."""
    standard_name: Annotated[Line, Field(pattern=r"^[a-z][a-z0-9_]*$")] | None = None
    """CF standard name."""
    role: Role | None = None
    """What a plot takes it for, where name and unit do not tell."""

    @field_validator("description", mode="after")
    @classmethod
    def _says_more(cls, description: str, read: ValidationInfo) -> str:
        if description.lower().rstrip(".") == str(read.data.get("name")).lower():
            message = f"{description!r} only repeats the name"
            raise refusal("description-is-name", message, "say what it measures")
        return description


class SplitPart(Part):
    """One part of a split; its ids are in ``data/splits/<split>/<name>.txt``."""

    name: Annotated[Line, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    description: Text


class SplitRule(Part):
    """How samples are divided, and what leaks between the parts."""

    name: Annotated[Line, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    default: StrictBool = False
    asset: Name | None = None
    """Key of the asset that the ids fit; left out if all with the dimension hold the same."""
    dimension: Name
    """The dimension, column or key that the ids are of, such as ``location``."""
    unit: Line
    """What one id is, such as ``one pixel of 0.1 degrees``."""
    rule: Text
    leaks: Text | None = None
    """What a model can know of one part from another; left out if nothing is known."""
    parts: Filled[SplitPart]

    @field_validator("parts", mode="after")
    @classmethod
    def _parts_differ(cls, parts: tuple[SplitPart, ...]) -> tuple[SplitPart, ...]:
        check_unique((part.name for part in parts), "the part")
        return parts


class Join(Part):
    """Variables of another asset that a sample gathers by a row number or label of its own."""

    by: Name
    """Variable of the samples' asset that names the row: a label of the other asset's first
    dimension, or a number from 0 if it has no labels."""
    asset: Name
    variables: Annotated[Filled[Name], AfterValidator(check_distinct)]
    names: Annotated[tuple[Name, ...], AfterValidator(check_distinct)] = ()
    """Of the variables in a batch, in the same order, where their own would be there twice, as
    with two drugs in one sample. By default their own."""

    @field_validator("names", mode="after")
    @classmethod
    def _name_of_each(cls, names: tuple[str, ...], read: ValidationInfo) -> tuple[str, ...]:
        variables = read.data.get("variables", names)
        if names and len(names) != len(variables):
            message = f"{len(names)} names for {len(variables)} variables"
            raise refusal("names", message, "write one for each variable, or remove names")
        return names

    @property
    def named(self) -> dict[str, str]:
        """Name in a batch by variable."""
        return dict(zip(self.variables, self.names or self.variables, strict=True))


class Window(Part):
    """Neighbouring steps of a dimension that one sample takes."""

    dimension: Name
    size: Annotated[StrictInt, Field(ge=1)]
    """Steps."""
    stride: Annotated[StrictInt, Field(ge=1)] = 1
    """Steps from one window to the next."""
    start: Count = 0
    """Step at which the first window begins, such as the edge of a crop at the centre."""


class Samples(Part):
    """What one training sample is: an entry of some dimensions, a window along others."""

    asset: Name
    each: Annotated[Filled[Name], AfterValidator(check_distinct)]
    """Dimensions of which a sample is one entry, such as ``location``."""
    windows: tuple[Window, ...] = ()
    crops: Annotated[StrictInt, Field(ge=1)] | None = None
    """Windows stand at random, this many an entry and epoch; without it at every stride."""
    lead: Count = 0
    """Steps after the first window that its nearest target takes; without them it is no
    sample."""
    inputs: Annotated[Filled[Name], AfterValidator(check_distinct)]
    targets: Annotated[tuple[Name, ...], AfterValidator(check_distinct)] = ()
    targets_at: Literal["window", "last"] = "window"
    """Targets are taken in the whole window, or at its last step."""
    joins: tuple[Join, ...] = ()

    @field_validator("joins", mode="after")
    @classmethod
    def _names_in_a_batch(
        cls, joins: tuple[Join, ...], read: ValidationInfo
    ) -> tuple[Join, ...]:
        held = {*read.data.get("inputs", ()), *read.data.get("targets", ())}
        joined = (name for join in joins for name in join.named.values())
        check_unique((*held, *joined), "a batch would hold two variables:")
        return joins

    @field_validator("crops", mode="after")
    @classmethod
    def _crop_windows(cls, crops: int | None, read: ValidationInfo) -> int | None:
        if crops and not read.data.get("windows"):
            raise refusal("crops", "crops without windows", "name the windows, or remove crops")
        if crops and any(window.start for window in read.data["windows"]):
            raise refusal("crops", "start is for windows in order", "remove start, or crops")
        return crops

    @field_validator("lead", mode="after")
    @classmethod
    def _lead_of_steps(cls, lead: int, read: ValidationInfo) -> int:
        if lead and read.data.get("crops"):
            raise refusal(
                "crops", "lead is for windows in order", "remove lead, or remove crops"
            )
        return lead

"""The parts of a record, each with its unit, origin and check.

Identifiers are bare: an ORCID iD, ROR id or DOI without its URL, a DOI in lower case. Dates are
text (W3CDTF). What is unknown is left out, never empty.
"""

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    ValidationInfo,
    field_validator,
)

from scidata import identifiers
from scidata.identifiers import refusal
from scidata.record.fields import (
    Count,
    Date,
    DateOrRange,
    Degrees,
    Doi,
    Line,
    Location,
    Name,
    Orcid,
    Ror,
    Text,
    Url,
    check_link,
    check_relation_type,
)

OriginalKind = Literal[
    "hdf5", "zarr", "npz", "csv", "table", "hdfstore", "lmdb", "tar", "catalogue-text"
]


class Part(BaseModel):
    """What records and their parts share: frozen, and no field that is not named."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Affiliation(Part):
    """An organisation that a person works for."""

    name: Name
    ror: Ror | None = None


class Creator(Part):
    """A person, with given and family names, or an organisation, with one name."""

    given: Name | None = None
    family: Name | None = None
    name: Annotated[Name | None, Field(validate_default=True)] = None
    """Of an organisation only."""
    orcid: Orcid | None = None
    ror: Ror | None = None
    """Of an organisation only."""
    affiliations: tuple[Affiliation, ...] = ()

    @property
    def full_name(self) -> str:
        """``Given Family``, or the organisation's name."""
        return self.name or f"{self.given} {self.family}"

    @property
    def formal_name(self) -> str:
        """``Family, Given``, or the organisation's name."""
        return self.name or f"{self.family}, {self.given}"

    @field_validator("name", mode="after")
    @classmethod
    def _one_kind_of_name(cls, name: str | None, read: ValidationInfo) -> str | None:
        if not {"given", "family"} <= read.data.keys():
            return name  # one of them has a problem of its own
        given, family = read.data["given"], read.data["family"]
        person, organisation = bool(given and family), name is not None
        if person == organisation or (organisation and (given or family)):
            raise refusal(
                "name-kind",
                f"given {given!r}, family {family!r} and name {name!r} are no name",
                "write given: and family: for a person, or name: for an organisation",
            )
        return name

    @field_validator("orcid", "ror", mode="after")
    @classmethod
    def _fits_its_kind(cls, value: str | None, read: ValidationInfo) -> str | None:
        organisation = read.data.get("name") is not None
        if value and "name" in read.data and organisation == (read.field_name == "orcid"):
            owner = "a person" if read.field_name == "orcid" else "an organisation"
            message = f"{value!r} identifies {owner}"
            raise refusal("identifier-kind", message, f"keep {read.field_name}: for {owner}")
        return value


class Contributor(Creator):
    """Who helped, and how."""

    role: Annotated[
        Line, AfterValidator(lambda text: identifiers.check_term(text, "contributor-types"))
    ]
    """DataCite contributorType, such as ``DataCollector``."""


class Contact(Part):
    """A person or team that answers."""

    name: Name
    email: Annotated[Line, AfterValidator(identifiers.check_email)]


class Publisher(Part):
    """Who stands for the data's being there."""

    name: Name
    ror: Ror | None = None


class NamedLicense(Part):
    """A licence, or terms of use, that SPDX does not list."""

    name: Line
    url: Url


class Subject(Part):
    """A term of a public vocabulary."""

    term: Line
    scheme: Line
    """The vocabulary's name, such as ``CF`` or ``MeSH``."""
    uri: Url


class Box(Part):
    """Bounding box, degrees east and north (WGS 84); west > east crosses 180°."""

    west: Annotated[Degrees, Field(ge=-180, le=180)]
    east: Annotated[Degrees, Field(ge=-180, le=180)]
    south: Annotated[Degrees, Field(ge=-90, le=90)]
    north: Annotated[Degrees, Field(ge=-90, le=90)]

    @field_validator("north", mode="after")
    @classmethod
    def _above_south(cls, north: float, read: ValidationInfo) -> float:
        south = read.data.get("south", north)
        if south > north:
            message = f"{north!r} lies south of {south!r}"
            raise refusal("box-order", message, "swap south and north")
        return north


class Period(Part):
    """What time the data are about; without an end, it goes on."""

    start: Date
    end: Date | None = None

    @field_validator("end", mode="after")
    @classmethod
    def _after_start(cls, end: str | None, read: ValidationInfo) -> str | None:
        return check_order(end, read)


class Relation(Part):
    """Another work, and how this dataset relates to it."""

    type: Annotated[Line, AfterValidator(check_relation_type)]
    """DataCite relationType, read as “this dataset … that work”."""
    id: Annotated[Line, AfterValidator(check_link)]
    """Bare DOI, or URL."""
    kind: Annotated[
        Line, AfterValidator(lambda text: identifiers.check_term(text, "resource-types"))
    ]
    """DataCite resourceTypeGeneral of the other work, such as ``JournalArticle``."""
    note: Line | None = None


class Funding(Part):
    """Who paid."""

    funder: Name
    ror: Ror | None = None
    number: Line | None = None
    title: Line | None = None
    uri: Url | None = None


class Source(Part):
    """What the data were made from."""

    title: Line
    doi: Doi | None = None
    url: Location | None = None
    license: Line | None = None
    """SPDX id, or the terms in the source's own words."""
    citation: Line | None = None
    accessed: Date | None = None
    sha256: Annotated[Line, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


class Software(Part):
    """A program that made or changed the data."""

    name: Name
    version: Line | None = None
    url: Url | None = None


class Step(Part):
    """One activity on the way from the sources to the data."""

    activity: Text
    software: Line | None = None
    at: DateOrRange | None = None


class Provenance(Part):
    """Where the data come from."""

    sources: tuple[Source, ...] = ()
    instrument: Line | None = None
    """Instrument or simulation code."""
    software: tuple[Software, ...] = ()
    steps: tuple[Step, ...] = ()


class Limitation(Part):
    """A known gap, or a change of quality or completeness."""

    description: Text
    start: Date | None = None
    end: Date | None = None

    @field_validator("end", mode="after")
    @classmethod
    def _after_start(cls, end: str | None, read: ValidationInfo) -> str | None:
        return check_order(end, read)


class Original(Part):
    """A published original, where it lies today; scidata did not make it."""

    name: Annotated[Line, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    title: Line
    url: Location
    endpoint: Url | None = None
    """S3 server, if it is not Amazon's."""
    anonymous: StrictBool
    kind: OriginalKind
    layout: Text
    """Files, groups, arrays, columns."""
    bytes: Count | None = None
    """As its publisher states it; nobody here measured it."""
    files: Count | None = None
    license_note: Text
    """Licence as far as known."""
    checksums: Line
    """Where they are, or ``none published``."""
    source: Text
    """Who says so: the page, paper or code that these facts were read from."""


def check_order(end: str | None, read: ValidationInfo) -> str | None:
    """Check that ``end`` is not before the ``start`` that was read."""
    start = read.data.get("start")
    if end and start and identifiers.instants(start)[0] > identifiers.instants(end)[1]:
        raise refusal("date-order", f"{end!r} is before {start!r}", "swap start and end")
    return end

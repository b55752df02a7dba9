"""The record: what a dataset is, written by a person; every outward form is derived from it.

It holds no fact that can be computed: sizes, checksums, types, shapes, version, DOI.
"""

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    StrictBool,
    Tag,
    ValidationInfo,
    field_validator,
)

from scidata import identifiers
from scidata.errors import InvalidError, Problem
from scidata.identifiers import refusal
from scidata.record.contents import Samples, SplitRule, VariableNote
from scidata.record.fields import (
    DatasetId,
    Date,
    Filled,
    Line,
    Spdx,
    Text,
    Url,
    check_abstract,
    check_distinct,
    check_keyword,
    check_title,
    check_unique,
)
from scidata.record.parts import (
    Box,
    Contact,
    Contributor,
    Creator,
    Funding,
    Limitation,
    NamedLicense,
    Original,
    Part,
    Period,
    Provenance,
    Publisher,
    Relation,
    Subject,
)


class Record(Part):
    """What a dataset is. One YAML file, the one source of truth."""

    format: Literal["scidata-record/1"] = "scidata-record/1"
    id: DatasetId
    title: Annotated[Line, Field(max_length=300), AfterValidator(check_title)]
    abstract: Annotated[Text, AfterValidator(check_abstract)]
    methods: Text | None = None
    creators: Filled[Creator]
    contributors: tuple[Contributor, ...] = ()
    contact: Contact
    publisher: Publisher
    license: Annotated[
        Annotated[Spdx, Tag("<spdx>")] | Annotated[NamedLicense, Tag("<named>")],
        Discriminator(lambda v: "<named>" if isinstance(v, (dict, NamedLicense)) else "<spdx>"),
    ]
    """SPDX id, or a named licence with its URL."""
    access: Literal["open", "embargoed", "restricted", "metadata-only"]
    available: Annotated[Date | None, Field(validate_default=True)] = None
    """When an embargo ends."""
    language: Annotated[
        Line, AfterValidator(lambda text: identifiers.check_term(text, "languages"))
    ] = "en"
    """ISO 639-1, of the record's texts."""
    keywords: Annotated[
        Filled[Annotated[Line, AfterValidator(check_keyword)]],
        AfterValidator(check_distinct),
    ]
    subjects: tuple[Subject, ...] = ()
    spatial: Box | None = None
    temporal: Period | None = None
    created: Date | None = None
    """When the data were made."""
    synthetic: StrictBool = False
    """Simulated or made up, in whole or in part."""
    synthetic_note: Annotated[Text | None, Field(validate_default=True)] = None
    """What is synthetic, and how it was made."""
    real_note: Text | None = None
    """What is real: measured or observed, by whom or what; also where part is synthetic."""
    out_of_scope: Annotated[tuple[Text, ...], AfterValidator(check_distinct)] = ()
    """Uses that neither the data nor a score on them supports, a sentence each."""
    relations: tuple[Relation, ...] = ()
    funding: tuple[Funding, ...] = ()
    provenance: Provenance = Provenance()
    limitations: tuple[Limitation, ...] = ()
    variables: tuple[VariableNote, ...] = ()
    splits: tuple[SplitRule, ...] = ()
    samples: Samples | None = None
    originals: tuple[Original, ...] = ()
    conforms_to: Annotated[tuple[Url, ...], AfterValidator(check_distinct)] = ()
    """URL of each standard that the files follow."""
    citation: Line | None = None
    """How to cite it, if not as the citation that is derived."""

    @field_validator("title", mode="after")
    @classmethod
    def _says_more_than_id(cls, title: str, read: ValidationInfo) -> str:
        if title == read.data.get("id"):
            raise refusal("title-is-id", f"{title!r} only repeats the id", "write a title")
        return title

    @field_validator("creators", mode="after")
    @classmethod
    def _creators_differ(cls, creators: tuple[Creator, ...]) -> tuple[Creator, ...]:
        check_unique(
            (creator.orcid or creator.full_name for creator in creators), "the creator"
        )
        return creators

    @field_validator("available", mode="after")
    @classmethod
    def _embargo_has_an_end(cls, available: str | None, read: ValidationInfo) -> str | None:
        access = read.data.get("access")
        if access == "embargoed" and available is None:
            raise refusal("embargo", "an embargoed dataset opens some day", "add available: …")
        if access not in (None, "embargoed") and available is not None:
            fix = "remove available, or write access: embargoed"
            raise refusal("embargo", f"{available!r}: access is {access!r}", fix)
        return available

    @field_validator("synthetic_note", mode="after")
    @classmethod
    def _synthetic_is_explained(cls, note: str | None, read: ValidationInfo) -> str | None:
        synthetic = read.data.get("synthetic")
        if synthetic is not None and synthetic != (note is not None):
            fix = "say what is synthetic" if synthetic else "write synthetic: true as well"
            raise refusal("synthetic", f"synthetic is {synthetic}, its note {note!r}", fix)
        return note

    @field_validator("variables", mode="after")
    @classmethod
    def _variables_differ(cls, notes: tuple[VariableNote, ...]) -> tuple[VariableNote, ...]:
        check_unique(
            (f"{n.asset}/{n.name}" if n.asset else n.name for n in notes), "the variable"
        )
        return notes

    @field_validator("splits", mode="after")
    @classmethod
    def _one_default_split(cls, splits: tuple[SplitRule, ...]) -> tuple[SplitRule, ...]:
        check_unique((split.name for split in splits), "the split")
        if splits and sum(split.default for split in splits) != 1:
            names = ", ".join(repr(s.name) for s in splits if s.default) or "none"
            message = f"{names}: exactly one split is the default"
            raise refusal("default-split", message, "write default: true in one of them")
        return splits

    @field_validator("samples", mode="after")
    @classmethod
    def _samples_are_described(
        cls, samples: Samples | None, read: ValidationInfo
    ) -> Samples | None:
        notes: tuple[VariableNote, ...] = read.data.get("variables", ())
        if samples is None or not notes:
            return samples
        known = {note.name for note in notes if note.asset in (None, samples.asset)}
        groups = (("inputs", samples.inputs), ("targets", samples.targets))
        problems = [
            Problem(
                code="sample-variable",
                path=f"{group}[{n}]",
                message=f"{name!r} of {samples.asset!r} is not described in variables",
                fix=f"write one of {', '.join(sorted(known))}, or describe it",
            )
            for group, names in groups
            for n, name in enumerate(names)
            if name not in known
        ]
        if problems:
            raise InvalidError(
                "samples", where="samples", fix=problems[0].fix, problems=problems
            )
        return samples

    @field_validator("originals", mode="after")
    @classmethod
    def _originals_differ(cls, originals: tuple[Original, ...]) -> tuple[Original, ...]:
        check_unique((original.name for original in originals), "the original")
        return originals

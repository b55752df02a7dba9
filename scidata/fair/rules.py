"""The table of rules: what each FAIR principle asks of a dataset, and how to get what is lost.

A row names its principle, its points, and the metric of the public assessor F-UJI (v0.8, whose
17 metrics have 26 points together) that it answers; rows without one are what F-UJI does not
look at. What every valid record has is asked of the outward forms, where it could be lost.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scidata.fair import questions as q
from scidata.fair.evidence import Evidence, Has

PRINCIPLES: Mapping[str, str] = {
    "F1": "a globally unique, persistent identifier",
    "F2": "rich metadata",
    "F3": "metadata that name the data",
    "F4": "registered where people search",
    "A1": "retrieved by its identifier, and who may",
    "A1.1": "by an open protocol",
    "A1.2": "that can ask who it is",
    "A2": "metadata that outlive the data",
    "I1": "a formal language",
    "I2": "terms of vocabularies",
    "I3": "relations to other works",
    "R1": "enough to judge its use",
    "R1.1": "a clear licence",
    "R1.2": "provenance",
    "R1.3": "standards of the community",
}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One row: what is asked, what it is worth, and how to get it."""

    key: str
    """Such as ``F2-orcid``; fields of the JSON document refer to it."""
    points: int
    asks: str
    metric: str | None = None
    """F-UJI's, such as ``FsF-F2-01M``."""
    needs: Has = "record"
    """Without it the rule cannot be answered."""
    lacks: Callable[[Evidence], str | None] | None = None
    """Says what is lacking, or nothing; None if only a published site could show it."""
    field: str = ""
    """Of the record; empty if the remedy is a command."""
    example: str = ""
    """What to write in the field, or the command."""

    @property
    def principle(self) -> str:
        """Of `PRINCIPLES`, such as ``F2``."""
        return self.key.partition("-")[0]


_DOI = "scidata doi publish {name} {options}"
_FAULT = "report it as a fault of scidata: it derives this by itself"

RULES: tuple[Rule, ...] = (
    Rule(
        key="F1-doi",
        points=1,
        asks="the version has a DOI",
        metric="FsF-F1-01MD",
        needs="version",
        lacks=q.no_doi,
        example=_DOI,
    ),
    Rule(
        key="F1-findable",
        points=1,
        asks="the DOI can be found, and leads to the version",
        metric="FsF-F1-02MD",
        needs="version",
        lacks=q.not_findable,
        example=_DOI,
    ),
    Rule(
        key="F2-core",
        points=2,
        asks="title, people, summary, keywords, publisher, date and type are stated",
        metric="FsF-F2-01M",
        needs="data",
        lacks=q.core_missing,
        example=_FAULT,
    ),
    Rule(
        key="F2-orcid",
        points=1,
        asks="each person among the creators has an ORCID iD",
        lacks=q.without_orcid,
        field="creators[].orcid",
        example="orcid: 0000-0002-1825-0097",
    ),
    Rule(
        key="F2-ror",
        points=1,
        asks="publisher and affiliations have a ROR id",
        lacks=q.without_ror,
        field="publisher.ror, creators[].affiliations[].ror",
        example="ror: 01ggx4157",
    ),
    Rule(
        key="F2-keywords",
        points=1,
        asks="there are at least three keywords",
        lacks=q.few_keywords,
        field="keywords",
        example="keywords: [earthquakes, California, nowcasting]",
    ),
    Rule(
        key="F2-methods",
        points=1,
        asks="how the data were made is told",
        lacks=lambda e: q.unless(e.record.methods, "no methods are told"),
        field="methods",
        example="methods: Measured every second by a buoy, averaged over ten minutes.",
    ),
    Rule(
        key="F2-variables",
        points=2,
        asks="each variable is described",
        needs="data",
        lacks=q.undescribed,
        field="variables[].description",
        example="{name: height, description: Height above the mean of the hour, units: m}",
    ),
    Rule(
        key="F3-address",
        points=1,
        asks="the metadata say where each asset is",
        metric="FsF-F3-01M",
        needs="data",
        lacks=q.no_address,
        example=_FAULT,
    ),
    Rule(
        key="F3-digest",
        points=1,
        asks="the metadata name the digest of the data",
        needs="version",
        lacks=q.no_digest,
        example=_FAULT,
    ),
    Rule(
        key="F4-embedded",
        points=2,
        asks="the landing page holds metadata that search engines read",
        metric="FsF-F4-01M",
    ),
    Rule(
        key="A1-access",
        points=1,
        asks="who may have the data is a term of COAR's vocabulary",
        metric="FsF-A1-01M",
        needs="data",
        lacks=q.no_access,
        example=_FAULT,
    ),
    Rule(
        key="A1-answers",
        points=2,
        asks="the landing page and the data answer",
        metric="FsF-A1-02MD",
    ),
    Rule(
        key="A1.1-protocol",
        points=2,
        asks="the landing page and the data are reached by https",
        metric="FsF-A1.1-01MD",
    ),
    Rule(
        key="A1.2-protocol",
        points=2,
        asks="that protocol can ask for credentials",
        metric="FsF-A1.2-01MD",
    ),
    Rule(
        key="A2-tombstone",
        points=1,
        asks="the landing page stays when a version is withdrawn",
    ),
    Rule(
        key="I1-embedded",
        points=1,
        asks="the landing page holds JSON-LD",
        metric="FsF-I1-01M",
    ),
    Rule(
        key="I1-graph",
        points=1,
        asks="the metadata are a graph in a formal language",
        metric="FsF-I1-01M",
        needs="data",
        lacks=q.no_graph,
        example=_FAULT,
    ),
    Rule(
        key="I2-terms",
        points=2,
        asks="what it is about is said in terms of a public vocabulary",
        metric="FsF-I2-01M",
        lacks=q.no_terms,
        field="subjects",
        example="{term: Seismology, scheme: FOS, uri: https://…}",
    ),
    Rule(
        key="I2-standard-names",
        points=1,
        asks="some variable has a standard name of CF, or the subjects name a vocabulary twice",
        lacks=q.no_standard_names,
        field="variables[].standard_name or subjects",
        example="standard_name: sea_surface_wave_significant_height",
    ),
    Rule(
        key="I3-relations",
        points=2,
        asks="other works are linked, each with how it relates",
        metric="FsF-I3-01M",
        lacks=q.no_relations,
        field="relations",
        example="{type: IsDescribedBy, id: 10.1234/paper, kind: JournalArticle}",
    ),
    Rule(
        key="I3-persistent",
        points=1,
        asks="a linked work is named by its DOI",
        lacks=q.no_doi_of_others,
        field="relations[].id or provenance.sources[].doi",
        example="id: 10.1234/paper",
    ),
    Rule(
        key="R1-files",
        points=2,
        asks="the type of the resource, and size and media type of its files, are stated",
        metric="FsF-R1-01M",
        needs="data",
        lacks=q.no_sizes,
        example=_FAULT,
    ),
    Rule(
        key="R1-units",
        points=1,
        asks="each number has a unit",
        needs="data",
        lacks=q.without_units,
        field="variables[].units",
        example='units: m, or units: "1"',
    ),
    Rule(
        key="R1-statistics",
        points=1,
        asks="the statistics of the variables are there",
        needs="data",
        lacks=lambda e: q.unless(e.statistics, "there is no data/statistics.json"),
        example="write count, mean, deviation and range of each variable into "
        "data/statistics.json, then publish the next version",
    ),
    Rule(
        key="R1-splits",
        points=1,
        asks="how the samples are divided is declared",
        lacks=lambda e: q.unless(e.record.splits, "no split is declared"),
        field="splits",
        example="{name: time, default: true, rule: …, parts: […]} and data/splits/time/*.txt",
    ),
    Rule(
        key="R1-limitations",
        points=1,
        asks="what is known to be wrong or missing is told",
        lacks=lambda e: q.unless(e.record.limitations, "no limitation is told"),
        field="limitations",
        example="{description: The buoy was hauled in., start: 2024-05-01}",
    ),
    Rule(
        key="R1.1-licence",
        points=1,
        asks="the licence is an address",
        metric="FsF-R1.1-01M",
        needs="data",
        lacks=q.no_licence,
        example=_FAULT,
    ),
    Rule(
        key="R1.1-spdx",
        points=1,
        asks="the licence is one that programs know",
        lacks=q.no_spdx,
        field="license",
        example="license: an SPDX id such as CC-BY-4.0, if its owners agree",
    ),
    Rule(
        key="R1.1-sources",
        points=1,
        asks="the terms of each source are stated",
        lacks=q.sources_without_terms,
        field="provenance.sources[].license",
        example="license: CC0-1.0",
    ),
    Rule(
        key="R1.2-provenance",
        points=1,
        asks="where the data come from is said in PROV's terms",
        metric="FsF-R1.2-01M",
        needs="data",
        lacks=q.no_provenance,
        field="provenance",
        example="provenance: {steps: [{activity: …}], sources: [{title: …, doi: …}]}",
    ),
    Rule(
        key="R1.2-steps",
        points=1,
        asks="each step from the sources to the data is told",
        lacks=lambda e: q.unless(e.record.provenance.steps, "no step is told"),
        field="provenance.steps",
        example="{activity: Average over ten minutes, software: scidata}",
    ),
    Rule(
        key="R1.2-software",
        points=1,
        asks="the software is named with its version",
        lacks=q.no_software,
        field="provenance.software",
        example='{name: xarray, version: "2025.1", url: https://xarray.dev}',
    ),
    Rule(
        key="R1.2-created",
        points=1,
        asks="when the data were made is stated",
        lacks=lambda e: q.unless(e.record.created, "it is not said when the data were made"),
        field="created",
        example="created: 2024-05-01",
    ),
    Rule(
        key="R1.2-funding",
        points=1,
        asks="who paid is stated",
        lacks=lambda e: q.unless(e.record.funding, "no funder is named"),
        field="funding",
        example="{funder: National Science Foundation, ror: 021nxhr62, number: …}",
    ),
    Rule(
        key="R1.3-standard",
        points=1,
        asks="the metadata follow a public standard",
        metric="FsF-R1.3-01M",
        needs="data",
        lacks=q.no_standard,
        example=_FAULT,
    ),
    Rule(
        key="R1.3-format",
        points=1,
        asks="each asset has a form that readers know by its media type",
        metric="FsF-R1.3-02D",
        needs="data",
        lacks=q.unknown_formats,
        example="store it as Zarr, Parquet, NetCDF, HDF5 or CSV with its usual suffix, then "
        "publish the next version",
    ),
    Rule(
        key="R1.3-conforms",
        points=1,
        asks="the standards that the files follow are named",
        lacks=lambda e: q.unless(e.record.conforms_to, "no standard of the files is named"),
        field="conforms_to",
        example="conforms_to: [https://cfconventions.org]",
    ),
)

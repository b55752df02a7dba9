"""What each rule asks: a function says what is lacking, in words, or None. Pure."""

from collections.abc import Iterable, Iterator

from scidata.facts import Asset, Variable
from scidata.fair.evidence import Document, Evidence
from scidata.formats.linked import COAR
from scidata.formats.media import UNKNOWN
from scidata.formats.stac_cube import describe
from scidata.record import NamedLicense
from scidata.split import SPLITS

MIN_KEYWORDS = 3
_SHOWN = 3
_WIDTH = 60  # characters of a licence's name
_CORE = (
    "name",
    "creator",
    "description",
    "keywords",
    "publisher",
    "datePublished",
    "identifier",
    "@type",
)
_PROV = ("prov:wasGeneratedBy", "prov:wasDerivedFrom")
_STANDARD = "http://datacite.org/schema/kernel-4"
_NUMBERS = ("int", "uint", "float", "double", "half", "decimal", "complex")


def unless(value: object, lacking: str) -> str | None:
    """Say what is lacking, unless there is a value."""
    return None if value else lacking


def no_doi(evidence: Evidence) -> str | None:
    """Ask for a DOI, be it a draft."""
    return unless(evidence.doi, "the version has no DOI")


def not_findable(evidence: Evidence) -> str | None:
    """Ask for a DOI that DataCite called findable."""
    found = evidence.doi is not None and evidence.doi.findable
    return unless(found, "no DOI leads to the version")


def core_missing(evidence: Evidence) -> str | None:
    """Ask for what each assessor looks for first."""
    document = evidence.forms["schemaorg"]
    return _naming([name for name in _CORE if not document.get(name)], "not stated")


def without_orcid(evidence: Evidence) -> str | None:
    """Ask for the ORCID iD of each creator who is a person."""
    people = [c for c in evidence.record.creators if c.family]
    return _naming([c.full_name for c in people if not c.orcid], "without ORCID iD")


def without_ror(evidence: Evidence) -> str | None:
    """Ask for the ROR ids of organisations."""
    record = evidence.record
    named = [(record.publisher.name, record.publisher.ror)]
    named += [(who.name, who.ror) for who in record.creators if who.name]
    named += [(a.name, a.ror) for who in record.creators for a in who.affiliations]
    lacking = [name for name, ror in named if not ror]
    lacking += [
        f"an affiliation of {who.full_name}"
        for who in record.creators
        if who.family and not who.affiliations
    ]
    return _naming(lacking, "without ROR id")


def few_keywords(evidence: Evidence) -> str | None:
    """Ask for enough keywords to be found by."""
    count = len(evidence.record.keywords)
    return unless(count >= MIN_KEYWORDS, f"{count} of {MIN_KEYWORDS} keywords")


def undescribed(evidence: Evidence) -> str | None:
    """Ask what each variable means; a dataset whose files were not opened has to name some."""
    lacking, held = [], False
    for asset, variable in _variables(evidence):
        held = True
        if not describe(evidence.record, asset, variable)[0]:
            lacking.append(f"{variable.name} of {asset.key}")
    if not held and not evidence.record.variables:
        return "no variable is described"
    return _naming(lacking, "not described")


def without_units(evidence: Evidence) -> str | None:
    """Ask for the unit of each number."""
    lacking = [
        f"{variable.name} of {asset.key}"
        for asset, variable in _variables(evidence)
        if variable.dtype.startswith(_NUMBERS)
        and not describe(evidence.record, asset, variable)[1]
    ]
    held = {variable.name for asset in evidence.assets for variable in asset.variables}
    lacking += [  # what the data do not hold, or not yet; labels of dimensions are no numbers
        note.name
        for note in evidence.record.variables
        if not note.units and note.name not in held
    ]
    return _naming(lacking, "without unit")


def no_address(evidence: Evidence) -> str | None:
    """Ask where each asset is."""
    return _each_file(evidence, "contentUrl", "without address")


def no_digest(evidence: Evidence) -> str | None:
    """Ask for the digest in what DataCite is told."""
    named = evidence.forms["datacite"].get("alternateIdentifiers", [])
    digests = [n for n in named if str(n.get("alternateIdentifier")).startswith("sha256:")]
    return unless(digests, "no digest is named")


def no_access(evidence: Evidence) -> str | None:
    """Ask for an access right that is no licence."""
    said = str(evidence.forms["schemaorg"].get("conditionsOfAccess"))
    return unless(said.startswith(COAR), "no term says who may have the data")


def no_graph(evidence: Evidence) -> str | None:
    """Ask for JSON-LD."""
    document = evidence.forms["dcat"]
    return unless(document.get("@context") and document.get("@type"), "there is no JSON-LD")


def no_terms(evidence: Evidence) -> str | None:
    """Ask for a term of a vocabulary, of the dataset or of a variable."""
    found = bool(evidence.record.subjects) or any(_standard_names(evidence))
    return unless(found, "no term of a vocabulary is named")


def no_standard_names(evidence: Evidence) -> str | None:
    """Ask for a second term, or one of a variable."""
    found = len(evidence.record.subjects) > 1 or any(_standard_names(evidence))
    return unless(found, "no variable has a standard name, and there is at most one subject")


def no_relations(evidence: Evidence) -> str | None:
    """Ask for links to other works."""
    return unless(list(_linked(evidence)), "no other work is linked")


def no_doi_of_others(evidence: Evidence) -> str | None:
    """Ask for a link that will last."""
    found = [link for link in _linked(evidence) if link.startswith("10.")]
    return unless(found, "no linked work has a DOI here")


def no_sizes(evidence: Evidence) -> str | None:
    """Ask for size and media type of each file."""
    if not evidence.forms["schemaorg"].get("@type"):
        return "no type of resource"
    sizes = _each_file(evidence, "contentSize", "without size")
    return sizes or _each_file(evidence, "encodingFormat", "without media type")


def no_licence(evidence: Evidence) -> str | None:
    """Ask for the licence as an address."""
    said = str(evidence.forms["schemaorg"].get("license"))
    return unless(said.startswith(("https://", "http://")), "no licence is linked")


def no_spdx(evidence: Evidence) -> str | None:
    """Ask for a licence of SPDX's list."""
    licence = evidence.record.license
    if isinstance(licence, NamedLicense):
        return f"not on SPDX's list: {licence.name[:_WIDTH]}"
    return None


def sources_without_terms(evidence: Evidence) -> str | None:
    """Ask for the licence of each source."""
    sources = evidence.record.provenance.sources
    return _naming([s.title for s in sources if not s.license], "without terms")


def no_provenance(evidence: Evidence) -> str | None:
    """Ask for terms of PROV."""
    document = evidence.forms["dcat"]
    return unless(any(document.get(name) for name in _PROV), "no provenance is stated")


def no_software(evidence: Evidence) -> str | None:
    """Ask for software, each with its version."""
    software = evidence.record.provenance.software
    if not software:
        return "no software is named"
    return _naming([s.name for s in software if not s.version], "without version")


def no_standard(evidence: Evidence) -> str | None:
    """Ask for a standard's namespace."""
    said = evidence.forms["datacite"].get("schemaVersion")
    return unless(said == _STANDARD, "no standard of metadata is named")


def unknown_formats(evidence: Evidence) -> str | None:
    """Ask for media types that say something."""
    held = [a for a in evidence.assets if a.media_type == UNKNOWN]
    return _naming([asset.path for asset in held], "of no known form")


def _variables(evidence: Evidence) -> Iterator[tuple[Asset, Variable]]:
    for asset in evidence.assets:
        for variable in asset.variables:
            if not variable.coordinate:
                yield asset, variable


def _standard_names(evidence: Evidence) -> Iterator[str]:
    yield from (n.standard_name for n in evidence.record.variables if n.standard_name)
    yield from (v.standard_name for _, v in _variables(evidence) if v.standard_name)


def _linked(evidence: Evidence) -> Iterator[str]:
    yield from (relation.id for relation in evidence.record.relations)
    sources = evidence.record.provenance.sources
    yield from (link for source in sources if (link := source.doi or source.url))


def _each_file(evidence: Evidence, member: str, lacking: str) -> str | None:
    files: list[Document] = evidence.forms["schemaorg"].get("distribution", [])
    kept = [f for f in files if not str(f.get("name")).startswith(SPLITS.rstrip("/"))]
    if not kept:
        return "no file is named"
    return _naming([str(f.get("name")) for f in kept if not f.get(member)], lacking)


def _naming(names: Iterable[str], lacking: str) -> str | None:
    listed = list(names)
    if not listed:
        return None
    more = f" and {len(listed) - _SHOWN} more" if listed[_SHOWN:] else ""
    return f"{lacking}: {', '.join(listed[:_SHOWN])}{more}"

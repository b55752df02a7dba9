"""``README.md`` of a version: what it is, how to cite and check it, and what is wrong with it.

Also what of it is real, and what it may not be used for: first, where nobody misses it.

For a person who has the files and no scidata. It lies in an immutable version, so it says
nothing that a later version could make untrue.
"""

from collections.abc import Iterable, Iterator

from scidata.facts import Facts
from scidata.formats.stac_cube import describe
from scidata.formats.subject import doi_url, link_url
from scidata.formats.text import citation, license_name, license_url, markdown
from scidata.manifest import MANIFEST
from scidata.record import Funding, Limitation, Record, Relation, Source
from scidata.wording import amount, counted

_OPENERS = {"zarr": "xarray.open_zarr", "parquet": "pandas.read_parquet"}
_CITING = "`meta/citation.bib` says it in BibTeX, `meta/CITATION.cff` in CFF."
_SEAL = """\
The first line checks the manifest against the version's digest, the second the files against
the manifest. Run both in this folder; both must print OK or nothing. Checking the files alone
would accept another version that was copied here.

```
echo "{digest}  {manifest}" | sha256sum -c
sha256sum --quiet -c {manifest}
```
"""


_OUTSIDE = """\
{files} of this version lie where they always have, outside this folder. `fetch.txt` has the
address, the size and the path of each: tools for BagIt bags fetch them before they check them.
"""


def readme(record: Record, facts: Facts, *, outside: int = 0, doi: str | None = None) -> bytes:
    """Return Markdown, one section for each question a user has.

    `outside` is how many files were adopted, and lie where ``fetch.txt`` says; `doi` is that of
    the version, where it is known.
    """
    sections = [
        ("What is real, what is simulated", list(_reality(record))),
        ("What it may not be used for", list(map(_item, record.out_of_scope))),
        ("Fetch", [_OUTSIDE.format(files=counted(outside, "file"))] if outside else []),
        ("Cite", [markdown(citation(record, facts, doi)), "", _CITING]),
        ("Licence", [_license(record)]),
        (
            "Check",
            [_SEAL.format(digest=facts.manifest_digest.hex, manifest=MANIFEST)],
        ),
        ("Open", list(_opening(facts))),
        ("Files", list(_files(facts))),
        ("Variables", list(_variables(record, facts))),
        ("Splits", list(_splits(record))),
        ("Limitations", [_limitation(known) for known in record.limitations]),
        ("How it was made", list(_making(record))),
        ("Related works", [_related(relation) for relation in record.relations]),
        ("Funding", [_award(award) for award in record.funding]),
        ("Contact", [_line(f"{record.contact.name}, {record.contact.email}")]),
    ]
    written = [_section(title, lines) for title, lines in sections if lines]
    return "\n".join([_head(record, facts), *written]).encode()


def _head(record: Record, facts: Facts) -> str:
    lines = [f"# {_line(record.title)}", "", f"`{facts.name}`, digest `{facts.digest}`", ""]
    return "\n".join([*lines, markdown(record.abstract), ""])


def _reality(record: Record) -> Iterator[str]:
    for word, note in (("Real", record.real_note), ("Simulated", record.synthetic_note)):
        if note is not None:
            yield f"**{word}.** {markdown(note)}"
            yield ""


def _section(title: str, lines: Iterable[str]) -> str:
    return f"## {title}\n\n" + "\n".join(lines).strip("\n") + "\n"


def _license(record: Record) -> str:
    return _line(f"{license_name(record)}, {license_url(record)}. Access: {record.access}.")


def _opening(facts: Facts) -> Iterator[str]:
    calls = [f'{_OPENERS[a.kind]}("{a.path}")' for a in facts.assets if a.kind in _OPENERS]
    if calls:
        modules = sorted({call.partition(".")[0] for call in calls})
        yield "Plain Python, in this folder:"
        yield ""
        yield "```python"
        yield f"import {', '.join(modules)}"
        yield from calls
        yield "```"
        yield ""
    yield f"Where it is published, `catalog-{facts.version}.yaml` beside its folder opens with"
    yield "`intake.open_catalog`, and `scidata.open_catalog` checks that file's digest as well."


def _files(facts: Facts) -> Iterator[str]:
    yield f"{counted(facts.files, 'file')}, {amount(facts.bytes)}."
    yield ""
    yield "| asset | path | files | size | sha256 |"
    yield "|---|---|---:|---:|---|"
    for asset in facts.assets:
        cells = (asset.key, asset.path, asset.files, amount(asset.bytes), asset.sha256)
        yield _row(cells)
    yield ""
    yield "The sha256 of a folder is that of its lines in the manifest, paths below the folder."


def _variables(record: Record, facts: Facts) -> Iterator[str]:
    described = [(asset, variable) for asset in facts.assets for variable in asset.variables]
    if not described:
        return
    yield "| asset | variable | type | shape | unit | meaning |"
    yield "|---|---|---|---|---|---|"
    for asset, variable in described:
        meaning, unit = describe(record, asset, variable)
        shape = ", ".join(
            f"{dim} {size}" for dim, size in zip(variable.dims, variable.shape, strict=True)
        )
        yield _row((asset.key, variable.name, variable.dtype, shape, unit or "", meaning or ""))


def _splits(record: Record) -> Iterator[str]:
    for split in record.splits:
        default = ", the default" if split.default else ""
        rule, unit = markdown(split.rule), _line(split.unit)
        yield f"**{split.name}**{default}: {rule} One id is {unit}."
        yield ""
        for part in split.parts:
            yield f"- `data/splits/{split.name}/{part.name}.txt`: {markdown(part.description)}"
        yield ""
        yield f"Known leaks: {markdown(split.leaks or 'none.')}"
        yield ""


def _item(text: str) -> str:
    return f"- {markdown(text)}"


def _limitation(known: Limitation) -> str:
    span = [f"from {known.start}"] if known.start else []
    span += [f"to {known.end}"] if known.end else []
    return _item(known.description) + (f" ({' '.join(span)})" if span else "")


def _making(record: Record) -> Iterator[str]:
    if record.methods:
        yield markdown(record.methods)
        yield ""
    provenance = record.provenance
    for source in provenance.sources:
        yield f"- Source: {_line(_source(source))}"
    if provenance.instrument:
        yield f"- Instrument: {_line(provenance.instrument)}"
    for software in provenance.software:
        words = filter(None, (software.name, software.version))
        yield f"- Software: {_line(' '.join(words))}"
    for step in provenance.steps:
        yield f"- Step: {_line(step.activity)}"


def _related(relation: Relation) -> str:
    note = f", {relation.note}" if relation.note else ""
    return f"- {_line(f'{relation.type}: {link_url(relation.id)} ({relation.kind}{note})')}"


def _award(award: Funding) -> str:
    parts = (award.funder, award.number, award.title, award.uri)
    return f"- {_line(', '.join(part for part in parts if part))}"


def _source(source: Source) -> str:
    doi = doi_url(source.doi) if source.doi else source.url
    parts = (source.citation or source.title, doi, source.license and f"[{source.license}]")
    return ", ".join(part for part in parts if part)


def _row(cells: Iterable[object]) -> str:
    return "| " + " | ".join(_line(str(cell)) for cell in cells) + " |"


def _line(text: str) -> str:
    return markdown(" ".join(text.split()))

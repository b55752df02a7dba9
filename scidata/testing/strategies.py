"""hypothesis strategies for the nouns: shipped, so that plugins can test their own forms."""

from datetime import date, timedelta
from typing import Any, get_args

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from scidata.identifiers import spdx_terms, vocabulary_terms
from scidata.record import OriginalKind, Record

_ROR_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# What a record's text may hold, but for blanks: those are allowed inside only.
_CHARACTERS = st.characters(
    codec="utf-8",
    exclude_categories=("Cc", "Cs", "Cn", "Zs", "Zl", "Zp"),
    exclude_characters="<",
)
_DERIVED = {"IsVersionOf", "HasVersion", "IsNewVersionOf", "IsPreviousVersionOf", "HasMetadata"}


def words() -> SearchStrategy[str]:
    """Text without blanks, in any script."""
    return st.text(_CHARACTERS, min_size=1, max_size=12)


def lines() -> SearchStrategy[str]:
    """One line of text."""
    return st.lists(words(), min_size=1, max_size=4).map(" ".join)


def texts() -> SearchStrategy[str]:
    """Several lines, some of them empty or indented."""
    parts = st.lists(st.one_of(lines(), st.sampled_from(["", "  x", "\tx"])), max_size=3)
    return st.builds(lambda a, b, c: "\n".join([a, *b, c]), lines(), parts, lines())


def slugs() -> SearchStrategy[str]:
    """Ids of datasets, names of splits and parts."""
    return st.from_regex(r"[a-z0-9][a-z0-9-]{1,20}", fullmatch=True)


def dates() -> SearchStrategy[str]:
    """W3CDTF dates of every precision."""
    forms = st.sampled_from(["%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%dT12:30:15.5Z"])
    return st.builds(date.strftime, st.dates(date(1000, 1, 1)), forms)


def orcids() -> SearchStrategy[str]:
    """ORCID iDs with a sound check character."""
    return st.integers(0, 10**15 - 1).map(_orcid)


def rors() -> SearchStrategy[str]:
    """ROR ids with sound check digits."""
    return st.integers(0, 32**6 - 1).map(_ror)


def dois() -> SearchStrategy[str]:
    """Bare DOIs in lower case."""
    return st.from_regex(r"10\.\d{4,5}/[-._;()/:a-z0-9]{1,20}", fullmatch=True).map(_ascii)


def urls() -> SearchStrategy[str]:
    """Absolute URLs without credentials."""
    path = st.from_regex(r"[a-z0-9/._-]{0,20}", fullmatch=True)
    return st.builds("https://{}.example/{}".format, slugs(), path)


def emails() -> SearchStrategy[str]:
    """E-mail addresses of a reserved domain."""
    return st.from_regex(r"[a-z0-9]{1,10}@[a-z]{1,10}\.example", fullmatch=True)


def records() -> SearchStrategy[Record]:
    """Make valid records, from the least to nearly every field."""
    return record_fields().map(Record.model_validate)


def record_fields() -> SearchStrategy[dict[str, Any]]:  # Any: YAML at the edge
    """Fields of valid records, as a YAML file holds them."""
    mandatory = {
        "id": slugs(),
        "title": lines().map("{}!".format),
        "abstract": texts().map(lambda text: f"{text} {'.' * 50}"),
        "creators": st.lists(creators(), min_size=1, max_size=3, unique_by=_who),
        "contact": st.fixed_dictionaries({"name": lines(), "email": emails()}),
        "publisher": _with({"name": lines()}, ror=rors()),
        "license": st.one_of(
            st.sampled_from(_current_licenses()),
            st.fixed_dictionaries({"name": lines(), "url": urls()}),
        ),
        "access": st.sampled_from(["open", "restricted", "metadata-only"]),
        "keywords": _distinct(words().filter(lambda word: "," not in word)),
    }
    return st.fixed_dictionaries(mandatory, optional={**_of_the_work(), **_of_the_data()})


def _of_the_work() -> dict[str, SearchStrategy[Any]]:  # Any: YAML at the edge
    roles = st.sampled_from(sorted(vocabulary_terms("contributor-types")))
    relation = {
        "type": st.sampled_from(sorted(vocabulary_terms("relation-types") - _DERIVED)),
        "id": st.one_of(dois(), urls()),
        "kind": st.sampled_from(sorted(vocabulary_terms("resource-types"))),
    }
    return {
        "language": st.sampled_from(sorted(vocabulary_terms("languages"))),
        "contributors": st.lists(
            st.builds(lambda who, role: {**who, "role": role}, creators(), roles), max_size=2
        ),
        "methods": texts(),
        "subjects": _several({"term": lines(), "scheme": lines(), "uri": urls()}),
        "created": dates(),
        "real_note": texts(),
        "out_of_scope": _distinct(texts(), min_size=0),
        "relations": _several(relation, note=lines()),
        "funding": _several({"funder": lines()}, ror=rors(), number=lines(), uri=urls()),
        "provenance": provenances(),
        "conforms_to": _distinct(urls(), min_size=0),
        "citation": lines(),
    }


def _of_the_data() -> dict[str, SearchStrategy[Any]]:  # Any: YAML at the edge
    variable = {"name": lines(), "description": texts().map("{} is".format)}
    return {
        "spatial": boxes(),
        "temporal": periods(),
        "limitations": st.lists(
            st.builds(lambda text, when: {"description": text, **when}, texts(), periods()),
            max_size=2,
        ),
        "variables": st.lists(
            _with(variable, units=words()), max_size=3, unique_by=lambda note: note["name"]
        ),
        "splits": splits(),
        "originals": st.lists(originals(), max_size=2, unique_by=lambda found: found["name"]),
    }


def originals() -> SearchStrategy[dict[str, Any]]:  # Any: YAML at the edge
    """Make published originals, on S3 or elsewhere."""
    return _with(
        {
            "name": slugs(),
            "title": lines(),
            "url": st.one_of(urls(), slugs().map("s3://{}/data".format)),
            "anonymous": st.booleans(),
            "kind": st.sampled_from(get_args(OriginalKind)),
            "layout": texts(),
            "license_note": texts(),
            "checksums": lines(),
            "source": texts(),
        },
        endpoint=urls(),
        bytes=st.integers(0, 10**18),
        files=st.integers(0, 10**9),
    )


def creators() -> SearchStrategy[dict[str, Any]]:  # Any: YAML at the edge
    """Make a person, or an organisation."""
    affiliations = st.lists(_with({"name": lines()}, ror=rors()), max_size=2)
    person = _with(
        {"given": words(), "family": words()}, orcid=orcids(), affiliations=affiliations
    )
    return st.one_of(person, _with({"name": lines()}, ror=rors()))


def boxes() -> SearchStrategy[dict[str, float]]:
    """Bounding boxes, some across 180 degrees."""
    west_east = st.floats(-180, 180)
    south_north = st.tuples(st.floats(-90, 90), st.floats(-90, 90)).map(sorted)
    return st.builds(
        lambda w, e, sn: {"west": w, "east": e, "south": sn[0], "north": sn[1]},
        west_east,
        west_east,
        south_north,
    )


def periods() -> SearchStrategy[dict[str, str]]:
    """Periods, some without an end."""
    start = st.dates(date(1000, 1, 1), date(2500, 1, 1))
    length = st.one_of(st.none(), st.integers(0, 100_000))
    return st.builds(_period, start, length)


def provenances() -> SearchStrategy[dict[str, Any]]:  # Any: YAML at the edge
    """Make sources, software and steps."""
    return st.fixed_dictionaries(
        {},
        optional={
            "sources": _several({"title": lines()}, doi=dois(), url=urls(), accessed=dates()),
            "instrument": lines(),
            "software": _several({"name": lines()}, version=words(), url=urls()),
            "steps": _several({"activity": texts()}, at=dates()),
        },
    )


def splits() -> SearchStrategy[list[dict[str, Any]]]:  # Any: YAML at the edge
    """Up to three splits, one of them the default."""
    parts = st.lists(
        st.fixed_dictionaries({"name": slugs(), "description": texts()}),
        min_size=1,
        max_size=3,
        unique_by=lambda part: part["name"],
    )
    rule = _with(
        {
            "name": slugs(),
            "dimension": words(),
            "unit": lines(),
            "rule": texts(),
            "parts": parts,
        },
        leaks=texts(),
    )
    rules = st.lists(rule, max_size=3, unique_by=lambda split: split["name"])
    return rules.map(lambda found: [{**s, "default": n == 0} for n, s in enumerate(found)])


def _with(
    required: dict[str, SearchStrategy[Any]], **optional: SearchStrategy[Any]
) -> SearchStrategy[dict[str, Any]]:  # Any: YAML at the edge
    return st.fixed_dictionaries(required, optional=optional)


def _several(
    required: dict[str, SearchStrategy[Any]], **optional: SearchStrategy[Any]
) -> SearchStrategy[list[dict[str, Any]]]:  # Any: YAML at the edge
    return st.lists(_with(required, **optional), max_size=2)


def _distinct(strategy: SearchStrategy[str], min_size: int = 1) -> SearchStrategy[list[str]]:
    return st.lists(
        strategy, min_size=min_size, max_size=3, unique_by=lambda text: text.lower()
    )


def _who(creator: dict[str, Any]) -> str:  # Any: YAML at the edge
    name = creator.get("name") or f"{creator['given']} {creator['family']}"
    return str(creator.get("orcid") or name)


def _current_licenses() -> list[str]:
    return sorted(term for term, (_, deprecated) in spdx_terms().items() if not deprecated)


def _period(start: date, days: int | None) -> dict[str, str]:
    period = {"start": start.isoformat()}
    return period if days is None else period | {"end": str(start + timedelta(days))}


def _orcid(number: int) -> str:
    # The checksum is computed here a second way: as a weighted sum modulo 11.
    digits = f"{number:015d}"
    total = sum(int(digit) * 2 ** (15 - n) for n, digit in enumerate(digits))
    check = (1 - total) % 11
    text = digits + "0123456789X"[check]
    return "-".join(text[i : i + 4] for i in range(0, 16, 4))


def _ror(number: int) -> str:
    text = "".join(_ROR_ALPHABET[number >> shift & 31] for shift in range(25, -1, -5))
    # The checksum is computed here a second way: with it, the whole is 1 modulo 97.
    check = next(c for c in range(2, 99) if (number * 100 + c) % 97 == 1)
    return f"0{text}{check:02d}"


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode().replace("?", "0")

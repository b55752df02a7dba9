"""How outward forms become bytes, and the few sentences that several of them share.

The same value gives the same bytes on any machine: sorted keys, no clock, UTF-8, a final line
feed.
"""

import json
import re
from collections.abc import Mapping

import yaml

from scidata.facts import Facts
from scidata.identifiers import spdx_terms
from scidata.record import NamedLicense, Record
from scidata.wording import printable

_MARKUP = re.compile(
    r"[\\`*\[\]|~]"
    r"|<(?=[A-Za-z/!?])"  # a tag, a comment or an address; 2 < 3 is none
    r"|&(?=#|\w+;)"
    r"|(?<![^\W_])_|_(?![^\W_])"  # within a word it is a plain letter
)
_OPENING = re.compile(
    r"^(?:(\d{1,9})(?=[.)](?:\s|$))|(?=#{1,6}(?:\s|$)|>|[-+](?:\s|$)|=+$|-+$))"
)
"""Where a line would become a heading, a quotation, a rule, or an item of a list."""


class _Plain(yaml.SafeDumper):
    """Writes no anchors: a value that occurs twice is written twice."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def to_json(document: Mapping[str, object]) -> bytes:
    """Write JSON with sorted keys."""
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


def to_yaml(document: Mapping[str, object]) -> bytes:
    """Write YAML with sorted keys; ``yaml.safe_load`` reads it back."""
    text: str = yaml.dump(
        dict(document),
        Dumper=_Plain,
        sort_keys=True,
        allow_unicode=True,
        width=96,
        default_flow_style=False,
    )
    return text.encode()


def markdown(text: str) -> str:
    r"""Write plain text so that Markdown shows it as it stands: no markup, HTML, link or table.

    Examples
    --------
    >>> markdown("<b>x</b> [a](b) *c* log_e 2 < 3")
    '\\<b>x\\</b> \\[a\\](b) \\*c\\* log_e 2 < 3'
    """
    return "\n".join(map(_markdown_line, text.split("\n")))


def _markdown_line(line: str) -> str:
    # Four spaces at its beginning would make it code.
    escaped = _MARKUP.sub(r"\\\g<0>", printable(line.strip().replace("\t", " ")))
    return _OPENING.sub(r"\g<0>\\", escaped)


def citation(record: Record, facts: Facts, doi: str | None = None) -> str:
    """Return how to cite a version: the record's words, else ``Authors (year). Title …``.

    A DOI is given after publication: what is stored inside a version is written without.
    """
    if doi is not None:
        return f"{citation(record, facts)}. https://doi.org/{doi}"
    if record.citation is not None:
        return f"{record.citation.rstrip('.')}. Version {facts.version}, {facts.digest}"
    authors = "; ".join(creator.formal_name for creator in record.creators)
    title = f"{record.title} (Version {facts.version}) [Data set]"
    return f"{authors} ({facts.created[:4]}). {title}. {record.publisher.name}. {facts.digest}"


def license_name(record: Record) -> str:
    """Return the licence in words: SPDX's full name, or the name that the record gives."""
    if isinstance(record.license, NamedLicense):
        return record.license.name
    name, _deprecated = spdx_terms()[record.license]
    return name


def license_url(record: Record) -> str:
    """Return where the licence's text is."""
    if isinstance(record.license, NamedLicense):
        return record.license.url
    return f"https://spdx.org/licenses/{record.license}"


def license_label(record: Record) -> str:
    """Return the SPDX id, or the name of a licence that SPDX does not list."""
    if isinstance(record.license, NamedLicense):
        return record.license.name
    return record.license


def orcid_url(orcid: str) -> str:
    """Return the address of a bare ORCID iD."""
    return f"https://orcid.org/{orcid}"


def ror_url(ror: str) -> str:
    """Return the address of a bare ROR id."""
    return f"https://ror.org/{ror}"

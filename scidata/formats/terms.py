"""``meta/LICENSE`` of a version: under which terms it may be used, and whom to name.

Plain text, for whoever opens the folder and for tools that look for a file of this name.
"""

import textwrap
from collections.abc import Iterator

from scidata.facts import Facts
from scidata.formats.text import citation, license_name, license_url
from scidata.record import NamedLicense, Record, Source
from scidata.wording import printable

_WIDTH = 96
_LABEL = 11


def license_file(record: Record, facts: Facts) -> bytes:
    """Return the licence's name, SPDX id and address, how to cite, and the sources' terms."""
    lines = [f"Licence of {facts.name}", printable(record.title), ""]
    spdx = "none" if isinstance(record.license, NamedLicense) else record.license
    for label, value in (
        ("Licence", license_name(record)),
        ("SPDX id", spdx),
        ("Text", license_url(record)),
        ("Access", record.access),
        ("Cite as", citation(record, facts)),
    ):
        lines += _labelled(label, value)
    for source in record.provenance.sources:
        lines += ["", *_terms(source)]
    return ("\n".join(lines) + "\n").encode()


def _terms(source: Source) -> Iterator[str]:
    yield from _labelled("Made from", source.title)
    address = f"https://doi.org/{source.doi}" if source.doi else source.url
    for label, value in (
        ("At", address),
        ("Licence", source.license),
        ("Cite as", source.citation),
    ):
        if value:
            yield from _labelled(label, value)


def _labelled(label: str, value: str) -> list[str]:
    # Addresses stay whole, however long.
    return textwrap.wrap(
        f"{label + ':':<{_LABEL}}{printable(' '.join(value.split()))}",
        _WIDTH,
        subsequent_indent=" " * _LABEL,
        break_long_words=False,
        break_on_hyphens=False,
    )

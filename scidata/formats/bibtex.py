r"""BibTeX: one ``@misc`` entry, which every style of BibTeX and BibLaTeX knows.

Text stays UTF-8; what TeX would obey is written out, such as ``\&``.
"""

from scidata.formats.subject import Subject
from scidata.record import Creator
from scidata.wording import printable

_TEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "{": r"\textbraceleft{}",  # BibTeX counts braces, escaped ones too
        "}": r"\textbraceright{}",
        "$": r"\$",
        "&": r"\&",
        "#": r"\#",
        "%": r"\%",
        "_": r"\_",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        '"': r"\textquotedbl{}",
        "@": r"{@}",  # some readers take it for the next entry
    }
)


def entry(subject: Subject) -> bytes:
    """Return the entry of a version; its key is ``name-1.0.0``."""
    record, facts = subject.record, subject.facts
    fields = {
        "author": " and ".join(_author(creator) for creator in record.creators),
        "title": f"{{{tex(record.title)}}}",
        "year": facts.created[:4],
        "month": str(int(facts.created[5:7])),
        "version": tex(facts.version),
        "publisher": f"{{{tex(record.publisher.name)}}}",
        "howpublished": "Data set",
        "doi": subject.doi_url and _verbatim(subject.doi_url.removeprefix("https://doi.org/")),
        "url": _url(subject),
        "note": f"Version {facts.version}, {facts.digest}",
    }
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@misc{{{facts.dataset}-{facts.version},", *lines, "}", ""]).encode()


def tex(text: str) -> str:
    r"""Write one line of plain text so that TeX shows it as it stands.

    Examples
    --------
    >>> tex("50 % of a_b & c")
    '50 \\% of a\\_b \\& c'
    """
    return printable(" ".join(text.split())).translate(_TEX)


def _author(who: Creator) -> str:
    if who.name is not None:
        return f"{{{tex(who.name)}}}"
    return f"{_part(who.family)}, {_part(who.given)}"


def _part(name: str | None) -> str:
    text = tex(str(name))
    # Braces keep together what BibTeX would divide into names.
    divided = "," in text or " and " in f" {text.lower()} "
    return f"{{{text}}}" if divided else text


def _url(subject: Subject) -> str | None:
    if subject.doi_url is not None:
        return _verbatim(subject.doi_url)
    return _verbatim(subject.public_page) if subject.public_page else None


def _verbatim(address: str) -> str:
    """Write an address, which BibLaTeX takes as it stands; braces would end it."""
    return address.replace("{", "%7B").replace("}", "%7D").replace("\\", "%5C")

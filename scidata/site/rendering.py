"""Pages as HTML: Jinja2 with autoescape, always, and a policy that lets nothing else in.

Every value is escaped where it is put in; the one exception is JSON-LD, which
`scidata.site.describing.embedded` has made harmless.
"""

import base64
import functools
import hashlib
import re
from importlib.resources import files
from typing import Any

from scidata.errors import InvalidError

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What HTML has no place for; names of variables come from files."""
_TURNING = re.compile(r"[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What turns the direction of writing beyond its own text: ``dir=auto`` does that here."""

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'"
)
"""Content security policy of every page; no inline script or style runs."""
HEADERS = {
    "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""What a host should answer every page with; a page itself cannot say all of it."""
ASSETS = ("site.css", "site.js", "search.js", "icon.svg")
"""Files that lie beside the templates, and in the root of the site: no dataset has a dot."""


def plain(value: object) -> object:
    """Take out what is no text; whatever is no string stays."""
    if type(value) is not str:
        return value
    return _TURNING.sub("", _CONTROL.sub("\ufffd", value))


def render(template: str, **values: object) -> bytes:
    """Return a page.

    Raises
    ------
    InvalidError
        If Jinja2 is not installed.
    """
    text: str = _environment().get_template(template).render(values)
    return (text.rstrip("\n") + "\n").encode()


def asset(name: str) -> bytes:
    """Read a file that every site has."""
    return (files("scidata.site") / "templates" / name).read_bytes()


def integrity(name: str) -> str:
    """Return the digest of an asset as a page's ``integrity`` attribute has it."""
    digest = hashlib.sha384(asset(name)).digest()
    return f"sha384-{base64.b64encode(digest).decode()}"


@functools.cache
def _environment() -> Any:  # Any: jinja2 is imported late
    try:
        import jinja2
    except ImportError as error:
        raise InvalidError(
            "Jinja2, which writes the pages, is not installed",
            where="scidata site",
            fix='pip install "fair-scidata[site]"',
        ) from error
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("scidata.site", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=plain,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["policy"] = POLICY
    return environment

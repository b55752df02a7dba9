"""Where pages are, seen from outside and from each other. Pure.

Links of a page to the site itself are relative, so that a site can be moved and looked at
anywhere; what stands in metadata is absolute, because metadata travel.
"""

from dataclasses import dataclass
from urllib.parse import quote, urlsplit

METADATA = "metadata/"
"""Folder of the metadata files, below a version's page."""

_SAFE = "%/:?#[]@!$&'()*+;=~-._"  # no comma: readers of Link headers split there


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """The addresses of one site."""

    base_url: str
    """Of the site, without a slash at its end."""
    data_url: str
    """Of the store, as its readers see it, without a slash at its end."""

    @property
    def host(self) -> str:
        """The host's name, with its port if it is not the usual one."""
        return urlsplit(self.base_url).netloc

    @property
    def path(self) -> str:
        """The path at which the site begins, with slashes around it."""
        return f"{urlsplit(self.base_url).path.rstrip('/')}/"

    def at(self, path: str = "") -> str:
        """Return the absolute address of a path of the site."""
        return f"{self.base_url}/{path}"

    def page(self, dataset: str, version: str | None = None) -> str:
        """Return the address of a dataset's or a version's page."""
        return self.at(page_path(dataset, version))

    def link(self, url: str, here: str) -> str:
        """Return an address as a page links it: relative, if it lies in the site.

        Parameters
        ----------
        here : str
            Path of the page, such as ``tevolop/v1.0.0/``.
        """
        home = f"{self.base_url}/"
        if not url.startswith(home):
            return url
        return relative(url.removeprefix(home), here)


def page_path(dataset: str, version: str | None = None) -> str:
    """Return the path of a page below the site.

    Examples
    --------
    >>> page_path("tevolop", "1.0.0")
    'tevolop/v1.0.0/'
    """
    return f"{dataset}/" + (f"v{version}/" if version else "")


def root_of(here: str) -> str:
    """Return how a page reaches the site's root.

    Examples
    --------
    >>> root_of("tevolop/v1.0.0/"), root_of("")
    ('../../', './')
    """
    return "../" * here.count("/") or "./"


def relative(path: str, here: str) -> str:
    """Return a path of the site as a page links it.

    Examples
    --------
    >>> relative("tevolop/v1.0.0/data/a.csv", "tevolop/v1.0.0/")
    'data/a.csv'
    >>> relative("tevolop/", "tevolop/v1.0.0/")
    '../'
    """
    theirs, ours = path.split("/"), here.split("/")
    while len(theirs) > 1 and len(ours) > 1 and theirs[0] == ours[0]:
        theirs, ours = theirs[1:], ours[1:]
    found = "../" * (len(ours) - 1) + "/".join(theirs)
    first = found.partition("/")[0]
    return f"./{found}" if not found or ":" in first else found


def header_url(url: str) -> str:
    """Write an address so that it can stand in a Link header, in HTML and in JSON alike."""
    return quote(url, safe=_SAFE)


def web(url: str | None) -> str | None:
    """Return an address if a browser may be led there."""
    if url is None:
        return None
    return url if urlsplit(url).scheme in {"http", "https"} else None

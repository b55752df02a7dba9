"""Which DataCite is asked, and as whom: from the environment or a keyring, never from a file.

``DATACITE_REPOSITORY`` with ``DATACITE_PASSWORD``, or ``DATACITE_API_KEY`` alone. If only the
repository is given, the keyring is asked for its password, where the package ``keyring`` is
installed: service ``scidata`` and the address of the API, user name the repository.
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from scidata.errors import InvalidError, NotFoundError
from scidata.identifiers import check_url

TEST = "https://api.test.datacite.org"
PRODUCTION = "https://api.datacite.org"
API, REPOSITORY, PASSWORD = "DATACITE_API", "DATACITE_REPOSITORY", "DATACITE_PASSWORD"
API_KEY, PREFIX, BASE_URL = "DATACITE_API_KEY", "DATACITE_PREFIX", "SCIDATA_BASE_URL"

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_FIX = (
    f"set {REPOSITORY} and {PASSWORD}, or {API_KEY}, in the environment; or set {REPOSITORY} "
    "and keep the password in a keyring: keyring set 'scidata {api}' REPOSITORY"
)


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Who asks. Neither its text nor its fields' show the secret."""

    user: str
    """The repository's id; empty with an API key."""
    secret: str = field(repr=False)

    @property
    def authorization(self) -> str:
        """The header's value."""
        if not self.user:
            return f"Bearer {self.secret}"
        pair = f"{self.user}:{self.secret}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


def api_address(given: str | None, environ: Mapping[str, str]) -> str:
    """Return the API's address: ``test`` (the default), ``production``, or an address.

    Raises
    ------
    InvalidError
        If the address would send a password unencrypted, or is none.
    """
    words = given or environ.get(API) or "test"
    known = {"test": TEST, "production": PRODUCTION}
    if words in known:
        return known[words]
    try:
        check_url(words, schemes=("https", "http"))
    except InvalidError as error:
        raise InvalidError(
            f"{error.message}: not a DataCite API", where="--api", fix=_API_FIX
        ) from error
    parts = urlsplit(words)
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise InvalidError(
            f"{words} would send the password unencrypted", where="--api", fix="use https://"
        )
    return words.rstrip("/")


_API_FIX = "write test, production, or https:// and a host"


def is_test(api: str) -> bool:
    """Tell whether an API hands out DOIs that do not resolve."""
    return api == TEST


def credentials_of(
    environ: Mapping[str, str], api: str, *, keyring: Callable[[str, str], str | None]
) -> Credentials:
    """Find the credentials for an API.

    Raises
    ------
    NotFoundError
        If there are none.
    """
    if key := environ.get(API_KEY):
        return Credentials(user="", secret=key)
    repository = environ.get(REPOSITORY)
    if repository:
        secret = environ.get(PASSWORD) or keyring(f"scidata {api}", repository)
        if secret:
            return Credentials(user=repository, secret=secret)
    raise NotFoundError(
        "there are no credentials for DataCite", where=api, fix=_FIX.format(api=api)
    )


def from_keyring(service: str, user: str) -> str | None:
    """Ask the user's keyring; None where there is none, or it does not know."""
    try:
        # Of the extra [doi], and optional there, too.
        import keyring  # pyright: ignore[reportMissingImports]
        from keyring.errors import KeyringError  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    try:
        found: str | None = keyring.get_password(service, user)
    except KeyringError:
        return None
    return found

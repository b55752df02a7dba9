"""Clients that ask a server, and nobody whom it points to.

obstore follows redirects and has no setting against it. So it is given a proxy for every other
host, and there is none: nothing can listen at port 0. Where the environment names a proxy for
everything, that one decides, and nothing is changed here.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from scidata.errors import StorageError
from scidata.storage.addresses import split_url

if TYPE_CHECKING:
    from obstore.store import ClientConfig

NOWHERE = "http://127.0.0.1:0"
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


def staying(url: str, environ: Mapping[str, str]) -> "ClientConfig":
    """Return what keeps a client of obstore at the host of `url`, and hosts below its name."""
    parts = split_url(url)
    named = any(environ.get(name) or environ.get(name.upper()) for name in _PROXIES)
    if named or parts is None or not parts.hostname:
        return {}
    return {"proxy_url": NOWHERE, "proxy_excludes": parts.hostname}


def is_staying(options: Mapping[str, object] | None) -> bool:
    """Tell whether a client of obstore was made by `staying`."""
    return options is not None and options.get("proxy_url") == NOWHERE


def staying_watch(url: str) -> Any:  # Any: an aiohttp.TraceConfig, loaded only where needed
    """Return what keeps a client of aiohttp at the host of `url`."""
    from aiohttp import TraceConfig

    watch = TraceConfig()
    watch.on_request_redirect.append(_refusing(url))
    return watch


def _refusing(url: str) -> Callable[..., Awaitable[None]]:
    own = split_url(url)

    async def refuse(session: object, context: object, told: Any) -> None:  # Any: aiohttp's
        target = split_url(urljoin(str(told.url), told.response.headers.get("Location", "")))
        if own is None or target is None or target.hostname != own.hostname:
            raise StorageError(
                f"the server sends readers to another host, {target and target.hostname!r}",
                where=url,
                fix="do not trust what names this address",
            )

    return refuse

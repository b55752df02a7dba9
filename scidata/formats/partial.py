"""What a version that inherits files says of itself to tools that know nothing of scidata.

``fetch.txt`` is for BagIt tools (RFC 8493, 2.2.3): it lists where the files lie that are not in
the bag. ``PARTIAL-VERSION.txt`` is for people: the same in words, with commands.
"""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from scidata.facts import Facts
from scidata.manifest import MANIFEST

FETCH = "fetch.txt"
PARTIAL_VERSION = "PARTIAL-VERSION.txt"
_PLAIN = re.compile(r"[A-Za-z0-9_.~/-]*+")
"""Paths that need no escaping in a URL, as nearly all."""
REMOVE = "remove  "
"""What begins a line that names a file of an older version which this one does not have."""


def fetch_base(url: str) -> str:
    """Return the address of a store as absolute URLs of BagIt tools begin.

    A folder's URL names the host, which some tools ask for.
    """
    if url.startswith("file:///"):
        url = "file://localhost" + url.removeprefix("file://")
    return url.rstrip("/")


def fetch_txt(
    since: Mapping[str, str], sizes: Mapping[str, int], facts: Facts, base: str
) -> bytes:
    """Return ``fetch.txt``: URL, bytes and path of each inherited file, by path."""
    top = f"{base}/{facts.dataset}/v"
    paths = sorted(since)
    urls = paths if _PLAIN.fullmatch("".join(paths)) else map(quote, paths)
    lines = (
        f"{top}{since[path]}/{url} {sizes[path]} {path}\n"
        for path, url in zip(paths, urls, strict=True)
    )
    return "".join(lines).encode()


def partial_version(
    since: Mapping[str, str],
    removed: Iterable[str],
    facts: Facts,
    *,
    prefixes: Sequence[str],
    url: str,
) -> bytes:
    """Return ``PARTIAL-VERSION.txt``; `url` is that of the store."""
    folder = f"{facts.dataset}-{facts.version}"
    commands = overlay_commands(url, facts.dataset, prefixes, folder)
    checks = check_commands(folder, facts.manifest_digest.hex)
    gone = [f"{REMOVE}{path}" for path in removed]
    lines = [
        f"This folder holds what is new in {facts.name}. The other {len(since):,} of its",
        f"{facts.files:,} files have not changed and lie in the folders of older versions",
        f"beside this one: {', '.join(prefixes[:-1])}.",
        "",
        f"With scidata:  scidata pull {facts.name} --store {shlex.quote(url)}",
        "",
        "With common tools, into a NEW folder, in this order. Copy, do not 'sync': that",
        "compares sizes and times, and keeps older files of the same size.",
        "",
        *(f"    {line}" for line in [*commands, *checks]),
        "",
        "With BagIt tools:  bdbag --resolve-fetch all FOLDER && bdbag --validate full FOLDER",
        f"({FETCH} names where each file was when this was published.)",
        "",
        f"If {facts.dataset}/versions/{facts.version}.full.json exists, the files were copied",
        "here since, and this folder alone is the version.",
        "",
        f"Files of older versions that {facts.version} does not have"
        + (":" if gone else ": none."),
        *gone,
    ]
    return ("\n".join(lines) + "\n").encode()


def overlay_commands(
    url: str, dataset: str, prefixes: Sequence[str], folder: str, endpoint: str = ""
) -> list[str]:
    """Return commands that lay prefixes over each other, and remove what has gone."""
    copies = [_copy(url, f"{dataset}/{prefix}/", folder, endpoint) for prefix in prefixes]
    remove = (
        f"(cd {folder} && sed -n 's/^{REMOVE}//p' {PARTIAL_VERSION} | tr '\\n' '\\0' | "
        "xargs -0 rm -f --)"
    )
    return [*copies, remove]


def check_commands(folder: str, digest: str) -> list[str]:
    """Return commands that check the manifest, which comes first, and every file."""
    return [
        f'cd {folder} && echo "{digest}  {MANIFEST}" | sha256sum -c',
        f"sha256sum --quiet -c {MANIFEST}",
    ]


def _copy(url: str, prefix: str, folder: str, endpoint: str) -> str:
    if url.startswith("file://"):
        source = Path(unquote(urlsplit(url).path)) / prefix
        return f"mkdir -p {folder} && cp -rf {shlex.quote(str(source))}/. {folder}/"
    if url.startswith("s3://"):
        return f"aws s3 cp --recursive{endpoint} {shlex.quote(f'{url}/{prefix}')} {folder}/"
    return f"# copy everything below {url}/{prefix} into {folder}/"

"""How somebody fetches and checks a version with nothing but common tools."""

import shlex
from pathlib import Path
from urllib.parse import unquote, urlsplit

from scidata.digest import Digest
from scidata.formats import prefix_of
from scidata.formats.partial import check_commands, overlay_commands
from scidata.version import CommitRecord


def plain_commands(
    url: str, commit: CommitRecord, *, endpoint_url: str | None = None
) -> list[str]:
    """Return shell commands: fetch, check the manifest, check every file.

    A version in several prefixes is fetched by copying one over the other, oldest first.

    The manifest's own digest comes first: a folder that held another version may keep that
    version's manifest and files, which then agree with each other (`aws s3 sync` compares
    sizes and times only).

    Parameters
    ----------
    url : str
        Of the store.
    endpoint_url : str, optional
        S3 server that the consumer has to name.
    """
    folder = f"{commit.dataset}-{commit.version}"
    endpoint = f" --endpoint-url {shlex.quote(endpoint_url)}" if endpoint_url else ""
    if len(commit.prefixes) > 1:
        fetch = overlay_commands(url, commit.dataset, commit.prefixes, folder, endpoint)
    else:
        fetch = [_fetch(url, f"{commit.dataset}/{prefix_of(commit.version)}", folder, endpoint)]
    return [*fetch, *check_commands(folder, Digest.parse(commit.digest).hex)]


def _fetch(url: str, prefix: str, folder: str, endpoint: str) -> str:
    if url.startswith("file://"):
        source = Path(unquote(urlsplit(url).path)) / prefix
        return f"cp -r {shlex.quote(str(source))} {folder}"
    return f"aws s3 sync{endpoint} {shlex.quote(f'{url}/{prefix}')} {folder}/"

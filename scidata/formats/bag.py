"""The tag files of a BagIt 1.0 bag (RFC 8493), so that any BagIt tool can check a version."""

from collections.abc import Iterator, Mapping

from scidata.digest import Digest
from scidata.facts import Facts
from scidata.record import Record


def bagit_txt() -> bytes:
    """Return the declaration that makes a folder a bag."""
    return b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"


def bag_info(record: Record, facts: Facts) -> bytes:
    """Return ``bag-info.txt``: who packed what, when, and how many bytes and files it holds.

    ``Payload-Oxum`` is bytes and files with a dot between: the quick check of BagIt tools.
    """
    return "".join(
        f"{label}: {_line(value)}\n" for label, value in _labels(record, facts)
    ).encode()


def tag_manifest(tags: Mapping[str, Digest]) -> bytes:
    """Return ``tagmanifest-sha256.txt``; `tags` has all other tag files by path in the bag."""
    ordered = sorted(tags.items(), key=lambda item: item[0].encode())
    return "".join(f"{digest.hex}  {path}\n" for path, digest in ordered).encode()


def fetch_txt(files: Mapping[str, tuple[str, int]]) -> bytes:
    """Return ``fetch.txt``: which files lie elsewhere, for tools that complete a bag.

    Parameters
    ----------
    files : mapping of str to (str, int)
        Absolute URL and size in bytes, by path in the bag.
    """
    ordered = sorted(files.items(), key=lambda item: item[0].encode())
    return "".join(f"{url} {size} {path}\n" for path, (url, size) in ordered).encode()


def _labels(record: Record, facts: Facts) -> Iterator[tuple[str, str]]:
    yield "Source-Organization", record.publisher.name
    yield "Contact-Name", record.contact.name
    yield "Contact-Email", record.contact.email
    yield "External-Description", record.title
    yield "Internal-Sender-Identifier", facts.name
    yield "Internal-Sender-Description", record.abstract
    yield "Bagging-Date", facts.created[:10]
    yield "Payload-Oxum", f"{facts.bytes}.{facts.files}"


def _line(value: str) -> str:
    """Return one line: a line feed in a value would begin another label."""
    return " ".join(value.split())

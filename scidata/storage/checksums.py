"""The checksums that a store keeps of an object: what can be compared without reading it.

Only what the store itself computed or compared on arrival counts. The sha256 in an object's
metadata is what its writer said, and is not looked at here.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from scidata.errors import ScidataError, StorageError
from scidata.parallel import REQUESTS
from scidata.storage import refusals

CONNECT_TIMEOUT_S = 3
ANSWER_TIMEOUT_S = 10

_MD5 = re.compile(r'"?([0-9a-f]{32})"?')
_IN_PARTS = re.compile(r'"?[0-9a-f]{32}-([0-9]{1,5})"?')
_ABSENT = {"404", "NoSuchKey", "NotFound"}


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What a store tells of one object; empty where it keeps nothing."""

    size: int
    sha256: str = ""
    """Hex, of the whole object."""
    crc64nvme: str = ""
    """Hex, 16 digits, of the whole object."""
    parts_sha256: str = ""
    """Hex: the sha256 over the sha256 of each part."""
    parts: int = 0
    """How many parts `parts_sha256` covers."""
    part_size: int = 0
    """Bytes of the first of them."""
    md5: str = ""
    """Hex: the ETag where that is the MD5 of the bytes."""


@runtime_checkable
class KeepsChecksums(Protocol):
    """A store that tells stored checksums."""

    def checksums(self, key: str) -> Stored:
        """Return what is kept of one object; `NotFoundError` if absent. One request or two."""
        ...


def client(
    *, endpoint: str | None, region: str | None, anonymous: bool
) -> Any:  # Any: as above
    """Open a client for many HEAD requests at once; obstore does not show their checksums."""
    import botocore.session
    from botocore import UNSIGNED
    from botocore.config import Config

    return botocore.session.Session().create_client(
        "s3",
        endpoint_url=endpoint,
        region_name=region or "us-east-1",
        config=Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=ANSWER_TIMEOUT_S,
            retries={"mode": "standard", "max_attempts": 5},
            max_pool_connections=2 * REQUESTS,
            **({"signature_version": UNSIGNED} if anonymous else {}),
        ),
    )


def head(
    client: Any, bucket: str, key: str, *, where: str
) -> Stored:  # Any: botocore is untyped
    """Ask S3 for the checksums of an object.

    Raises
    ------
    NotFoundError
        If there is none.
    StorageError
        If the server cannot be reached or refuses.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    def ask(**options: object) -> Mapping[str, Any]:  # Any: an answer of botocore
        try:
            answer: Mapping[str, Any] = client.head_object(
                Bucket=bucket, Key=key, ChecksumMode="ENABLED", **options
            )
        except (BotoCoreError, ClientError) as error:
            raise _translated(error, where) from error
        return answer

    return stored(ask(), lambda: int(ask(PartNumber=1)["ContentLength"]))


def stored(answer: Mapping[str, Any], first_part: Callable[[], int]) -> Stored:
    """Read an answer to HEAD; whatever cannot be read is left out, and so checks nothing."""
    sha256, _, parts = str(answer.get("ChecksumSHA256", "")).partition("-")
    if sha256 and (in_parts := _IN_PARTS.fullmatch(str(answer.get("ETag", "")))):
        parts = in_parts[1]  # S3 keeps no other sha256 of parts, and some leave the number out
    composite = parts.isdigit()
    etag = _MD5.fullmatch(str(answer.get("ETag", "")))
    # With KMS or a customer's key the ETag is no MD5, though it looks like one.
    encrypted = "kms" in str(answer.get("ServerSideEncryption", "")) or answer.get(
        "SSECustomerAlgorithm"
    )
    return Stored(
        size=int(answer["ContentLength"]),
        sha256="" if composite else _hex(sha256, 32),
        crc64nvme=_hex(str(answer.get("ChecksumCRC64NVME", "")), 8),
        parts_sha256=_hex(sha256, 32) if composite else "",
        parts=int(parts) if composite else 0,
        part_size=first_part() if composite else 0,
        md5=etag[1] if etag and not encrypted else "",
    )


def _hex(text: str, size: int) -> str:
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return ""
    return value.hex() if len(value) == size else ""


def _translated(error: Exception, where: str) -> ScidataError:
    response = getattr(error, "response", {})
    code = str(response.get("Error", {}).get("Code", ""))
    if code in _ABSENT:
        return refusals.absent(where)
    # botocore's message may quote a signed address; its class and the server's code do not.
    return StorageError(
        f"the stored checksums cannot be asked for ({code or type(error).__name__})",
        where=where,
        fix="check --endpoint-url, the network and the credentials, then run it again",
    )

"""Uploads in parts that nobody completed: S3 keeps their parts, and charges for them."""

from collections.abc import Iterator, Mapping
from typing import Any

from scidata.storage import refusals
from scidata.storage.base import Unfinished
from scidata.storage.s3_copy import Call

_SEPARATOR = "\n"
"""Between an upload's id and its key, which holds no line feed."""
_MAX_PAGES = 10_000


def uploads(call: Call, bucket: str, prefix: str, address: str) -> Iterator[Unfinished]:
    """Yield the uploads below a prefix of a bucket.

    Parameters
    ----------
    call : callable
        Sends a request by its name in botocore.
    address : str
        Of the store, for messages.

    Raises
    ------
    StorageError
        If the server does not tell.
    """
    markers: dict[str, str] = {}
    below = f"{prefix}/" if prefix else ""
    for _ in range(_MAX_PAGES):
        page = _call(
            call, "list_multipart_uploads", address, Bucket=bucket, Prefix=below, **markers
        )
        for upload in page.get("Uploads", ()):
            if upload["Key"].startswith(below):
                yield Unfinished(
                    name=f"{upload['UploadId']}{_SEPARATOR}{upload['Key']}",
                    size=None,
                    modified=upload["Initiated"].isoformat().replace("+00:00", "Z"),
                )
        if not page.get("IsTruncated"):
            return
        markers = {
            "KeyMarker": page["NextKeyMarker"],
            "UploadIdMarker": page["NextUploadIdMarker"],
        }


def abort(call: Call, bucket: str, item: Unfinished, address: str) -> None:
    """Abort one upload; its parts go with it. Somebody may have ended it meanwhile."""
    upload, _, key = item.name.partition(_SEPARATOR)
    _call(call, "abort_multipart_upload", address, Bucket=bucket, Key=key, UploadId=upload)


def _call(
    call: Call, method: str, address: str, **parameters: object
) -> Mapping[str, Any]:  # Any: an answer of botocore
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return call(method, **parameters)
    except (BotoCoreError, ClientError) as error:
        if refusals.is_gone(error):  # some say so of a bucket without uploads, too
            return {}
        raise refusals.from_parts(error, where=f"uploads in {address}") from error

"""Uploads in parts that nobody completed: S3 keeps their parts, and charges for them."""

from collections.abc import Iterator
from typing import Any

from scidata.storage import refusals
from scidata.storage.base import Unfinished

_SEPARATOR = "\n"
"""Between an upload's id and its key, which holds no line feed."""
_MAX_PAGES = 10_000


def uploads(s3: Any, bucket: str, prefix: str, address: str) -> Iterator[Unfinished]:
    """Yield the uploads below a prefix of a bucket.

    Parameters
    ----------
    s3 : s3fs.S3FileSystem
        Any: s3fs has no types.
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
            s3, "list_multipart_uploads", address, Bucket=bucket, Prefix=below, **markers
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


def abort(s3: Any, bucket: str, item: Unfinished, address: str) -> None:
    """Abort one upload; its parts go with it."""
    upload, _, key = item.name.partition(_SEPARATOR)
    try:
        _call(s3, "abort_multipart_upload", address, Bucket=bucket, Key=key, UploadId=upload)
    except FileNotFoundError:  # somebody completed or aborted it meanwhile
        return


def _call(s3: Any, method: str, address: str, **parameters: Any) -> Any:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return s3.call_s3(method, **parameters)
    except FileNotFoundError:
        raise
    except (BotoCoreError, ClientError, OSError) as error:
        raise refusals.from_parts(error, where=f"uploads in {address}") from error

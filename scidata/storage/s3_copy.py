"""Copies inside a bucket that no byte leaves, and that never overwrite.

One request where the server heeds a condition on it; else in parts, whose condition is checked
when they are put together, as it is of every large upload. Which of the two a server can do is
asked of it once, by copying an object onto itself: nothing can come of that.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from scidata.errors import ScidataError
from scidata.storage import refusals

ONE_COPY = 5 * 2**30
"""More than this S3 copies in parts only."""
PART = 2**30
MAX_PARTS = 10_000
_HEEDED = {"PreconditionFailed", "412"}

Call = Callable[..., Mapping[str, Any]]
"""Sends one request by its name in botocore. Any: botocore has no types."""


def heeds_conditions(call: Call, bucket: str, key: str) -> bool:
    """Tell whether a server refuses to copy onto a key that exists when it is told to."""
    try:
        call(
            "copy_object",
            Bucket=bucket,
            Key=key,
            CopySource={"Bucket": bucket, "Key": key},
            IfNoneMatch="*",
        )
    except Exception as error:  # noqa: BLE001 - any other refusal leaves the other way
        return _code(error) in _HEEDED
    return False


def copy_at_once(call: Call, bucket: str, source: str, key: str, *, where: str) -> bool:
    """Copy by one request; False if the key exists.

    Raises
    ------
    NotFoundError, StorageError
        If there is no such source, or the server refuses.
    """
    try:
        call(
            "copy_object",
            Bucket=bucket,
            Key=key,
            CopySource={"Bucket": bucket, "Key": source},
            IfNoneMatch="*",
        )
    except Exception as error:  # of s3fs and botocore, which have no common base
        if refusals.is_taken(error):
            return False
        raise _translated(error, where) from error
    return True


def copy_in_parts(
    call: Call,
    bucket: str,
    source: str,
    key: str,
    *,
    size: int,
    metadata: Mapping[str, str],
    where: str,
) -> bool:
    """Copy an object that is not empty in parts; False if the key exists; raises as above."""
    target = {"Bucket": bucket, "Key": key}
    length = max(PART, math.ceil(size / MAX_PARTS))
    try:
        upload = {
            **target,
            "UploadId": call("create_multipart_upload", **target, Metadata=dict(metadata))[
                "UploadId"
            ],
        }
    except Exception as error:  # as above
        raise _translated(error, where) from error
    try:
        parts = []
        for number, start in enumerate(range(0, size, length), start=1):
            done = call(
                "upload_part_copy",
                **upload,
                PartNumber=number,
                CopySource={"Bucket": bucket, "Key": source},
                CopySourceRange=f"bytes={start}-{min(start + length, size) - 1}",
            )
            parts.append({"ETag": done["CopyPartResult"]["ETag"], "PartNumber": number})
        call(
            "complete_multipart_upload",
            **upload,
            MultipartUpload={"Parts": parts},
            IfNoneMatch="*",
        )
    except BaseException as error:
        with suppress(Exception):  # a bucket's rule removes what cannot be removed now
            call("abort_multipart_upload", **upload)
        if not isinstance(error, Exception):
            raise
        if refusals.is_taken(error):
            return False
        raise _translated(error, where) from error
    return True


def _translated(error: Exception, where: str) -> Exception:
    if isinstance(error, ScidataError):
        return error
    if isinstance(error, FileNotFoundError):
        return refusals.absent(where)
    return refusals.from_parts(error, where=where)


def _code(error: Exception) -> str:
    answer = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
    return str(answer.get("Error", {}).get("Code")) if isinstance(answer, dict) else ""

"""Copies inside a bucket that no byte leaves, and that never overwrite.

One request where the server heeds a condition on it; else in parts, whose condition is checked
when they are put together, as it is of every large upload. Which of the two a server can do is
asked of it once, by copying an object onto itself: nothing can come of that.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from scidata.errors import ScidataError
from scidata.parallel import each
from scidata.parts import Sizes
from scidata.storage import refusals

ONE_COPY = 5 * 2**30
"""More than this S3 copies in parts only."""
PART = 2**30
"""Bytes of a part where the server keeps no sha256 of it: fewer requests."""
_HEEDED = {"PreconditionFailed", "412"}
_WANTING = {"InvalidPart", "InvalidRequest", "BadDigest"}
"""What a server may say that wants the sha256 of each part."""

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
            ChecksumAlgorithm="SHA256",
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
            # Of the whole, whatever the source has: it may have arrived in parts.
            ChecksumAlgorithm="SHA256",
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
    """Copy an object that is not empty in parts; False if the key exists; raises as above.

    The parts are those that an upload has, with their sha256, which the server computes: what
    can be told of a sound upload without reading it can be told of its copy, too. A server that
    cannot is let off.
    """
    part = Sizes().cut(size) or size
    copying = _Copying(call, bucket, source, key, size)
    try:
        return copying.make(part, {"Metadata": dict(metadata), "ChecksumAlgorithm": "SHA256"})
    except _NoChecksumsError:
        pass
    except Exception as error:  # as above
        raise _translated(error, where) from error
    try:
        return copying.make(max(part, PART), {"Metadata": dict(metadata)})
    except Exception as error:  # as above
        raise _translated(error, where) from error


class _NoChecksumsError(Exception):
    """The server wants to know the sha256 of parts which it does not tell."""


@dataclass(frozen=True)
class _Copying:
    """One object, and where it goes."""

    call: Call
    bucket: str
    source: str
    key: str
    size: int

    def make(self, part: int, options: Mapping[str, object]) -> bool:
        """Copy in parts of so many bytes; False if the key exists."""
        target = {"Bucket": self.bucket, "Key": self.key}
        begun = self.call("create_multipart_upload", **target, **options)
        upload = {**target, "UploadId": begun["UploadId"]}
        told = True
        try:
            spans = enumerate(range(0, self.size, part), start=1)
            copy = partial(self._copy, upload, part)
            parts = sorted(each(copy, spans), key=lambda one: int(str(one["PartNumber"])))
            told = all("ChecksumSHA256" in one for one in parts)
            self.call(
                "complete_multipart_upload",
                **upload,
                MultipartUpload={"Parts": parts},
                IfNoneMatch="*",
            )
        except BaseException as error:
            with suppress(Exception):  # a bucket's rule removes what cannot be removed now
                self.call("abort_multipart_upload", **upload)
            if not isinstance(error, Exception):
                raise
            if refusals.is_taken(error):
                return False
            if not told and "ChecksumAlgorithm" in options and _code(error) in _WANTING:
                raise _NoChecksumsError from error
            raise
        return True

    def _copy(
        self, upload: Mapping[str, str], part: int, span: tuple[int, int]
    ) -> dict[str, object]:
        number, start = span
        answer = self.call(
            "upload_part_copy",
            **upload,
            PartNumber=number,
            CopySource={"Bucket": self.bucket, "Key": self.source},
            CopySourceRange=f"bytes={start}-{min(start + part, self.size) - 1}",
        )["CopyPartResult"]
        known = {name: answer[name] for name in ("ETag", "ChecksumSHA256") if name in answer}
        return {"PartNumber": number, **known}


def _translated(error: Exception, where: str) -> Exception:
    if isinstance(error, ScidataError):
        return error
    if isinstance(error, FileNotFoundError):
        return refusals.absent(where)
    return refusals.from_parts(error, where=where)


def _code(error: Exception) -> str:
    answer = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
    return str(answer.get("Error", {}).get("Code")) if isinstance(answer, dict) else ""

"""What a refused or failed operation means, and its remedy: the one place that maps errors.

Servers answer with XML that may hold an access key id or the text that was signed, so an
answer's body never enters a message: only its status and its short code do.
"""

import errno
import re

import obstore.exceptions

from scidata.errors import (
    IntegrityError,
    InvalidError,
    NotFoundError,
    ScidataError,
    StorageError,
)

_STATUS = re.compile(r"status code: (\d{3} [A-Za-z ]{1,40})")
# Words only: a server that was sent a key or a token could answer with it.
_CODE = re.compile(r"<Code>([A-Z](?=[A-Za-z]*[a-z])(?:[A-Za-z]|SHA256){1,48})</Code>")
_REFUSED_CODES = {"AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch"}
_SPOILT_CODES = ("BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch")
_BUSY = re.compile(
    r"status code: (?:429|500|502|503|504)|<Code>(?:SlowDown|"
    + "|".join(_SPOILT_CODES)
    + ")</Code>"
)
_PAST_THE_END = re.compile(r"status code: 416|<Code>InvalidRange</Code>|Invalid range:")
_FOREIGN = ("404 ", "405 ", "410 ")
"""Where an object may be absent, but not what was asked for; S3 would have given a code."""
_SILENT = re.compile(r"TimedOut|kind: Timeout|timed out", re.IGNORECASE)
_UNREACHABLE = re.compile(r"error sending request|dns error|connection", re.IGNORECASE)

_REFUSED = "the server refused access"

_DISK: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("the disk is full", "free some space and run the same command again"),
    errno.EDQUOT: ("the disk quota is used up", "free some space, then run it again"),
    errno.EFBIG: ("the file is larger than this disk or process may write", "raise the limit"),
    errno.EROFS: ("the disk is read-only", "choose another folder or remount it writable"),
    errno.EACCES: ("permission is denied", "choose another folder or ask its owner (ls -ld)"),
    errno.EPERM: ("the operation is not permitted", "choose another folder or ask its owner"),
    errno.ENAMETOOLONG: ("the name is too long for this disk", "shorten the path"),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "choose another folder"),
    errno.ELOOP: ("the path is a link, which stores do not follow", "replace it by the file"),
    errno.EEXIST: ("a part of the path is a file, not a folder", "choose another folder"),
    errno.EISDIR: ("the path is a folder, not a file", "choose another folder"),
}


def from_disk(error: OSError, *, where: str) -> ScidataError:
    """Translate what the operating system says of a local path."""
    if isinstance(error, FileNotFoundError):
        return absent(where)
    reason, fix = _DISK.get(
        error.errno or 0, (error.strerror or type(error).__name__, "check the disk")
    )
    return StorageError(f"cannot use the store: {reason}", where=where, fix=fix)


def out_of_room(error: OSError) -> bool:
    """Tell whether writing failed for want of space."""
    return error.errno in {errno.ENOSPC, errno.EDQUOT}


def from_server(error: Exception, *, where: str) -> ScidataError:
    """Translate what `obstore` raises; `where` names the key and the store's address."""
    text = str(error)
    code = _first(_CODE, text)
    if code == "NoSuchBucket":
        return no_bucket(where)
    if isinstance(error, obstore.exceptions.NotFoundError | FileNotFoundError):
        return absent(where)
    if isinstance(error, obstore.exceptions.InvalidPathError):
        return StorageError(
            "the store holds a key that is no path: a part of it is empty, '.' or '..'",
            where=where,
            fix="find it with `aws s3 ls --recursive`, and remove it",
        )
    # Some servers answer 400 to a wrong key, which obstore takes for any other failure.
    if code in _REFUSED_CODES or isinstance(
        error,
        obstore.exceptions.PermissionDeniedError | obstore.exceptions.UnauthenticatedError,
    ):
        return _refused(_parenthesis(code or _first(_STATUS, text)), where)
    return _unusable(text, code, where)


def is_taken(error: Exception) -> bool:
    """Tell whether a multipart upload failed because its key exists."""
    return _botocore_code(error) in {"PreconditionFailed", "412"}


def is_gone(error: Exception) -> bool:
    """Tell whether a multipart upload failed because it was ended: completed or aborted."""
    return _botocore_code(error) == "NoSuchUpload"


def is_spoilt(error: Exception) -> bool:
    """Tell whether a server refused bytes because they changed on their way to it."""
    return _botocore_code(error) in _SPOILT_CODES


def is_denied(error: Exception) -> bool:
    """Tell whether a server does not know a request, or does not allow it."""
    return _botocore_code(error) in {
        "AccessDenied",
        "403",
        "NotImplemented",
        "MethodNotAllowed",
    }


def from_parts(error: Exception, *, where: str) -> ScidataError:
    """Translate what a request through botocore raises."""
    code = _botocore_code(error)
    if code in {"404", "NoSuchKey"}:
        return absent(where)
    if code in _REFUSED_CODES:
        return _refused(_parenthesis(code), where)
    if code == "NoSuchBucket":
        return no_bucket(where)
    if type(error).__name__ in {"EndpointConnectionError", "ConnectTimeoutError"}:
        return _unreachable(where)
    if type(error).__name__ == "ReadTimeoutError":
        return _silent(where)
    return StorageError(
        f"the upload failed ({code or type(error).__name__})",
        where=where,
        fix="run the same command again: parts that have arrived are not sent again",
    )


def _botocore_code(error: Exception) -> str:
    answer = getattr(error, "response", None)
    return str(answer.get("Error", {}).get("Code", "")) if isinstance(answer, dict) else ""


def absent(where: str) -> NotFoundError:
    """Say that an object does not exist."""
    return NotFoundError("no such object", where=where, fix="check the name and the store")


def no_store(where: str, *, is_file: bool) -> NotFoundError:
    """Say that the folder a store should be is not there."""
    what = f"{where!r} is a file, not a store" if is_file else f"there is no store at {where!r}"
    return NotFoundError(
        what,
        where=where,
        fix="check the address that was given, else $SCIDATA_STORE; in a new folder scidata "
        "publish creates one",
    )


def no_folder(where: str) -> StorageError:
    """Say that a folder that is to be written in can neither be found nor made."""
    return StorageError(
        "cannot use the store: no folder can be made there",
        where=where,
        fix="choose another folder for the store (--store)",
    )


def linked(path: str, *, where: str) -> InvalidError:
    """Say that a store holds a link, which could lead out of it."""
    return InvalidError(
        f"{path!r} is a link, which stores do not follow",
        where=where,
        fix="remove the link, or replace it by what it points to",
    )


def too_large(size: int, limit: int, *, where: str) -> InvalidError:
    """Say that an object is larger than its reader is willing to hold in memory."""
    return InvalidError(
        f"{size} bytes are more than the {limit} expected of such a file",
        where=where,
        fix="the file is damaged or not what its name says; do not trust this store",
    )


def other_bytes(expected: object, found: object, *, where: str) -> IntegrityError:
    """Say that the bytes to be written are not those that were measured."""
    return IntegrityError(
        f"the file changed after it was measured: expected {expected}, found {found}",
        where=where,
        fix="stop whatever still writes to it, then run the same command again",
    )


def too_large_to_store(size: int, limit: int, *, where: str) -> InvalidError:
    """Say that no S3 server takes a file of this size."""
    return InvalidError(
        f"{size} bytes are more than the {limit} that S3 takes as one object",
        where=where,
        fix="divide the file, or use a chunked format such as Zarr",
    )


def is_busy(error: Exception) -> bool:
    """Tell whether the same request may well succeed a little later."""
    return _BUSY.search(str(error)) is not None


def is_past_the_end(error: Exception) -> bool:
    """Tell whether an object is there, but ends before the range that was asked for."""
    return _PAST_THE_END.search(str(error)) is not None


def is_silent(error: Exception) -> bool:
    """Tell whether a server took the request and did not answer, as often as it was asked."""
    return _SILENT.search(str(error)) is not None


def hides_what_is_absent(error: StorageError) -> bool:
    """Tell whether a server refused, as public buckets do for whatever they do not hold."""
    return error.message.startswith(_REFUSED)


def no_bucket(where: str) -> StorageError:
    """Say that there is no bucket; of ``KEY in STORE`` only the store matters then."""
    return StorageError(
        "the bucket does not exist",
        where=_store_of(where),
        fix="create it, or correct the store's URL",
    )


def _unusable(text: str, code: str, where: str) -> StorageError:
    if _SILENT.search(text) and not code and not _first(_STATUS, text):
        return _silent(where)
    if _UNREACHABLE.search(text) and not code and not _first(_STATUS, text):
        return _unreachable(where)
    if "redirect without LOCATION" in text:
        return StorageError(
            "the bucket lies in another region",
            where=where,
            fix="set $AWS_REGION to its region",
        )
    if "non-partial response" in text:
        return StorageError(
            "the server ignores byte ranges", where=where, fix="use a server that honours them"
        )
    answer = code or _first(_STATUS, text) or "no reason given"
    if answer.startswith(_FOREIGN):
        return _foreign(answer, where)
    return StorageError(
        f"the server failed ({answer})",
        where=where,
        fix="run the same command again; if it repeats, ask who runs the server",
    )


def _foreign(answer: str, where: str) -> StorageError:
    return StorageError(
        f"the server answers, but not as a store does ({answer})",
        where=where,
        fix="check that the address is that of the store, not of its web pages (--store; "
        "--endpoint-url, else $AWS_ENDPOINT_URL)",
    )


def web_page(where: str) -> StorageError:
    """Say that an address answers whatever it is asked with a page, as no store does."""
    return _foreign("a page for any key", where)


def _refused(answer: str, where: str) -> StorageError:
    fix = (
        "check the AWS credentials and the bucket's policy, or read public data with "
        "--no-sign-request"
    )
    if _store_of(where).startswith(("http://", "https://")):  # which are sent no credentials
        fix = (
            "check the address: a public bucket answers so where it holds nothing, too; read "
            "what is not public by its s3:// address"
        )
    return StorageError(f"{_REFUSED}{answer}", where=where, fix=fix)


def _store_of(where: str) -> str:
    return where.rpartition(" in ")[2]


def _unreachable(where: str) -> StorageError:
    return StorageError(
        "the server cannot be reached",
        where=where,
        fix="check the network and the endpoint (--endpoint-url, else $AWS_ENDPOINT_URL)",
    )


def _silent(where: str) -> StorageError:
    return StorageError(
        "the server does not answer",
        where=where,
        fix="check that the endpoint is a server of this kind (--endpoint-url, else "
        "$AWS_ENDPOINT_URL), then run the same command again, or ask who runs the server",
    )


def _first(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match[1].strip() if match else ""


def _parenthesis(text: str) -> str:
    return f" ({text})" if text else ""


def refuses_ranges(error: Exception) -> bool:
    """Tell whether a server answered a part of an object with all of it, as some do."""
    text = str(error)
    return "Range request not supported" in text or "non-partial response" in text

"""Large files to S3, in parts: several at once, resumed, checked, never over another object.

botocore sends them, because obstore can neither make the last step conditional nor find what an
earlier run has sent. Each part goes with its sha256, which the server compares on arrival; the
whole file's is computed from the very bytes that are sent, and compared before the parts are
put together.
"""

import hashlib
import os
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from scidata.digest import Digest
from scidata.errors import IntegrityError, ScidataError
from scidata.parallel import Budget, Debt, each
from scidata.parts import MIB, Sizes
from scidata.storage import refusals
from scidata.storage.s3_address import S3Address

MAX_BYTES = 5 * 2**40
"""More than this S3 does not take as one object."""
MIN_PART = 5 * MIB
MAX_PART = 5 * 2**30
PARTS_AT_ONCE = 4
"""Of one file; `Budget` bounds those of all files."""
UPLOADS_LOOKED_AT = 20
"""Unfinished uploads of one key; more of them only somebody hostile leaves behind."""
SPOILT_TRIES = 2
"""How often a part is sent again that arrived with other bytes."""


class PartUploads:
    """Creates objects from large files, in a bucket below a prefix."""

    def __init__(self, client: Any, at: S3Address, sizes: Sizes, memory: Budget) -> None:
        # Any: botocore makes its clients' methods as it runs.
        self._client = client
        self._at = at
        self._sizes = sizes
        self._memory = memory

    def create(self, key: str, source: Path, size: int, digest: Digest | None) -> bool:
        """Send a file unless its key exists; what an earlier run sent of it is not sent again.

        Raises
        ------
        IntegrityError
            If the bytes are not those of `digest`; nothing is written.
        StorageError
            If the server fails; what it has by then is found by the next run.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        if size > MAX_BYTES:
            raise refusals.too_large_to_store(size, MAX_BYTES, where=str(source))
        where = f"{key} in {self._at}"
        try:
            with source.open("rb", buffering=0) as file:
                return self._create(_File(file.fileno(), size, str(source)), key, digest)
        except (BotoCoreError, ClientError) as error:
            if refusals.is_taken(error) or (refusals.is_gone(error) and self._exists(key)):
                return False
            raise refusals.from_parts(error, where=where) from error
        except ScidataError:  # some are an OSError, too, and are translated already
            raise
        except OSError as error:
            raise refusals.from_disk(error, where=str(source)) from error

    def _create(self, file: "_File", key: str, digest: Digest | None) -> bool:
        upload = self._begun(file, key) or self._begin(key)
        try:
            self._complete(upload, self._send(file, upload, digest))
        except Exception as error:
            # Of no use to a later run. What was found may be somebody's who is still at work.
            if not upload.held and (
                isinstance(error, IntegrityError) or refusals.is_taken(error)
            ):
                self._abort(upload)
            raise
        return True

    def _complete(self, upload: "_Upload", parts: list[dict[str, object]]) -> None:
        self._client.complete_multipart_upload(
            UploadId=upload.id,
            IfNoneMatch="*",
            MultipartUpload={"Parts": parts},
            **self._named(upload.key),
        )

    def _send(
        self, file: "_File", upload: "_Upload", digest: Digest | None
    ) -> list[dict[str, object]]:
        """Make the server hold every part; returns what it takes to put them together."""
        whole = hashlib.sha256()
        debt = Debt(self._memory)
        part = self._sizes.part_of(file.size)

        def read() -> Iterator[tuple[int, bytes]]:
            for number in range(1, -(-file.size // part) + 1):
                start, length = file.span(number, part)
                debt.take(length)
                data = file.read(start, length)
                whole.update(data)
                yield number, data

        def put(item: tuple[int, bytes]) -> dict[str, object]:
            try:
                return self._hold(upload, *item)
            finally:
                debt.give(len(item[1]))

        try:
            done = list(each(put, read(), threads=PARTS_AT_ONCE))
        finally:
            debt.settle()
        found = Digest(whole.hexdigest())
        if digest is not None and found != digest:
            raise refusals.other_bytes(digest, found, where=file.where)
        return sorted(done, key=lambda one: int(str(one["PartNumber"])))

    def _hold(self, upload: "_Upload", number: int, data: bytes) -> dict[str, object]:
        """Send a part unless the server has it."""
        value = _base64(data)
        there = upload.held.get(number)
        has = there is not None and there.has(data, value)
        etag = there.etag if there and has else self._put(upload, number, data, value)
        return {"PartNumber": number, "ETag": etag, "ChecksumSHA256": value}

    def _put(self, upload: "_Upload", number: int, data: bytes, value: str) -> str:
        from botocore.exceptions import ClientError

        def put() -> str:
            answer = self._client.upload_part(
                UploadId=upload.id,
                PartNumber=number,
                Body=data,
                ChecksumSHA256=value,
                **self._named(upload.key),
            )
            return str(answer["ETag"])

        for _ in range(SPOILT_TRIES):
            try:
                return put()
            except ClientError as error:
                if not refusals.is_spoilt(error):
                    raise
        return put()

    def _begin(self, key: str) -> "_Upload":
        answer = self._client.create_multipart_upload(
            ChecksumAlgorithm="SHA256", **self._named(key)
        )
        return _Upload(key=key, id=str(answer["UploadId"]), held={})

    def _begun(self, file: "_File", key: str) -> "_Upload | None":
        """Find the upload that an earlier run left: the first part it holds is this file's.

        Of several the one with most parts. Those of other content are left alone; if only later
        parts are of another, these are sent again.
        """
        part = self._sizes.part_of(file.size)
        found: _Upload | None = None
        for upload in self._unfinished(key):
            first = min(upload.held, default=0)
            start, length = file.span(first, part)
            if first and length and (found is None or len(upload.held) > len(found.held)):
                with self._memory.loan(length):
                    data = file.read(start, length)
                    if upload.held[first].has(data, _base64(data)):
                        found = upload
        return found

    def _unfinished(self, key: str) -> Iterator["_Upload"]:
        named = self._named(key)
        full = named["Key"]
        listed = self._pages("list_multipart_uploads", Bucket=named["Bucket"], Prefix=full)
        uploads = (one for page in listed for one in page.get("Uploads", ()))
        ids = (one["UploadId"] for one in uploads if one["Key"] == full)
        for upload in islice(ids, UPLOADS_LOOKED_AT):
            pages = self._pages("list_parts", UploadId=upload, **named)
            parts = (one for page in pages for one in page.get("Parts", ()))
            held = {one["PartNumber"]: _Held.of(one) for one in parts}
            yield _Upload(key=key, id=upload, held=held)

    def _pages(self, operation: str, **arguments: object) -> Iterator[Mapping[str, Any]]:
        """Yield the pages of a listing; none where a server or its policy allows no look."""
        from botocore.exceptions import ClientError

        try:
            yield from self._client.get_paginator(operation).paginate(**arguments)
        except ClientError as error:
            # Some say of a bucket without uploads that there is no such upload.
            if not (refusals.is_denied(error) or refusals.is_gone(error)):
                raise

    def _exists(self, key: str) -> bool:
        from botocore.exceptions import ClientError

        try:
            self._client.head_object(**self._named(key))
        except ClientError:
            return False
        return True

    def _abort(self, upload: "_Upload") -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        # Writers need not be allowed to; then the bucket's lifecycle rule removes the parts.
        with suppress(BotoCoreError, ClientError):
            self._client.abort_multipart_upload(UploadId=upload.id, **self._named(upload.key))

    def _named(self, key: str) -> dict[str, str]:
        prefix = f"{self._at.prefix}/" if self._at.prefix else ""
        return {"Bucket": self._at.bucket, "Key": prefix + key}


@dataclass(frozen=True)
class _File:
    """An open file of which as many bytes are sent as it had."""

    descriptor: int
    size: int
    where: str

    def span(self, number: int, part: int) -> tuple[int, int]:
        """Return where a part begins, and its bytes: none behind the end."""
        start = (number - 1) * part
        return start, max(min(part, self.size - start), 0)

    def read(self, start: int, length: int) -> bytes:
        data = b""
        while more := os.pread(self.descriptor, length - len(data), start + len(data)):
            data = data + more if data else more
        if len(data) < length:
            found = f"{start + len(data)} bytes"
            raise refusals.other_bytes(f"{self.size} bytes", found, where=self.where)
        return data


@dataclass(frozen=True, kw_only=True)
class _Upload:
    """A multipart upload, and the parts that the server had of it when it was found."""

    key: str
    id: str
    held: Mapping[int, "_Held"]


@dataclass(frozen=True, kw_only=True)
class _Held:
    """A part that the server has."""

    size: int
    etag: str
    sha256: str
    """In base 64; empty where the server keeps none."""

    @classmethod
    def of(cls, listed: Mapping[str, Any]) -> "_Held":
        sha256 = listed.get("ChecksumSHA256", "")
        return cls(size=listed["Size"], etag=listed.get("ETag", ""), sha256=sha256)

    def has(self, data: bytes, sha256: str) -> bool:
        """Tell whether the part is these bytes; MD5 says so of servers that know no more."""
        if self.size != len(data):
            return False
        if self.sha256:
            return self.sha256 == sha256
        return self.etag.strip('"') == hashlib.md5(data, usedforsecurity=False).hexdigest()


def _base64(data: bytes) -> str:
    return b64encode(hashlib.sha256(data).digest()).decode()

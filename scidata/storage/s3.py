"""A store in an S3 bucket, at AWS or at any server that speaks S3.

obstore sends most requests; botocore sends files over 64 MiB in parts, copies, and asks for
stored checksums. Both find credentials as the AWS tools do.
"""

import weakref
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore.store

from scidata.digest import Block, Digest
from scidata.errors import InvalidError, NotFoundError, ScidataError, StorageError
from scidata.parallel import Budget
from scidata.parts import MIB, Sizes
from scidata.storage import (
    checksums,
    refusals,
    s3_copy,
    s3_credentials,
    s3_listing,
    s3_unfinished,
)
from scidata.storage.base import ObjectFacts, Unfinished
from scidata.storage.keys import checked
from scidata.storage.objects import METADATA, Objects
from scidata.storage.parts import MAX_PART, MIN_PART, PartUploads
from scidata.storage.s3_address import ENDPOINTS, S3Address
from scidata.storage.staying import staying

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config

CONNECT_TIMEOUT_S = 3
ANSWER_TIMEOUT_S = 10
"""Until an answer begins, and between its pieces; a silent server is asked thrice."""
UPLOAD_TIMEOUT_S = 300
"""The same for what is larger than `QUICK_PUT`: sending it counts, too, and lines are slow."""
PART_TIMEOUT_S = 60
"""Until the server confirms that it has a part; sending it does not count."""
PART_TRIES = 5
"""Of each request that a busy or broken server may answer next time: ten seconds in all."""
PARTS_IN_FLIGHT = 16
PART_MIB = "SCIDATA_PART_MIB"
NEVER_WRITTEN = "scidata-asks-for-what-is-not-there"

CLIENT: "ClientConfig" = {
    "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT_S),
    "read_timeout": timedelta(seconds=ANSWER_TIMEOUT_S),
    "timeout": timedelta(minutes=10),  # a whole object over a slow line
}
UPLOAD: "ClientConfig" = {**CLIENT, "read_timeout": timedelta(seconds=UPLOAD_TIMEOUT_S)}
RETRIES = 2
RETRY: "RetryConfig" = {"max_retries": RETRIES}


class S3Store:
    """Objects of a bucket below a prefix."""

    def __init__(
        self, address: S3Address, *, environ: Mapping[str, str], sizes: Sizes | None = None
    ) -> None:
        self._at = address
        self._environ = environ
        self._sizes = sizes or _sizes(environ)
        self._memory = Budget(self._sizes.memory)
        self.url = f"s3://{address.bucket}/{address.prefix}".rstrip("/")
        self.address = str(address)
        self.writable = not address.anonymous
        self.lists = True
        uploads = partial(self._view, address.prefix, UPLOAD)
        self._copies_at_once: bool | None = None
        self._objects = Objects(self._view(address.prefix), self.address, uploads=uploads)

    def __reduce__(self) -> tuple[partial["S3Store"], tuple[()]]:
        """Travel to another process of ours, which connects anew."""
        environ = dict(self._environ)
        return partial(S3Store, self._at, environ=environ, sizes=self._sizes), ()

    def read(self, key: str, *, limit: int = 256 * 2**20) -> bytes:
        """Return a small object."""
        return self._objects.read(key, limit)

    def stream(self, key: str, *, start: int = 0) -> Iterator[Block]:
        """Yield an object's bytes from `start`."""
        return self._objects.stream(key, start)

    def head(self, key: str) -> ObjectFacts:
        """Return size, time and, of an object the server compared with it, the digest."""
        return self._objects.head(key)

    def checksums(self, key: str) -> checksums.Stored:
        """Return the checksums that S3 keeps of one object."""
        path = "/".join(p for p in (self._at.prefix, checked(key)) if p)
        return checksums.head(
            self._botocore, self._at.bucket, path, where=f"{key} in {self.address}"
        )

    def list(self, prefix: str = "") -> Iterator[ObjectFacts]:
        """Yield the objects whose key starts with `prefix`; S3 sorts them."""
        empty = True
        listing = s3_listing.Listing(
            call=self._call,
            bucket=self._at.bucket,
            top=f"{self._at.prefix}/".lstrip("/"),
            prefix=prefix,
            address=self.address,
        )
        for facts in listing.complete(self._objects.list(prefix)):
            empty = False
            yield facts
        if empty:
            self._refuse_web_pages()

    def folders(self) -> tuple[str, ...]:
        """Return the first parts of keys that have several."""
        found = self._objects.folders()
        if not found:
            self._refuse_web_pages()
        return found

    def create(self, key: str, source: bytes | Path, *, digest: Digest | None = None) -> bool:
        """Write an object unless the key exists."""
        if isinstance(source, bytes):
            return self._objects.create(key, source, digest)
        try:
            size = source.stat().st_size
            if size > self._sizes.one_put:
                return self._create_large(checked(key), source, size, digest)
            with self._memory.loan(size):
                return self._objects.create(key, source.read_bytes(), digest)
        except ScidataError:  # some are an OSError, too, and are translated already
            raise
        except OSError as error:
            raise refusals.from_disk(error, where=str(source)) from error

    def copy(self, source: str, key: str) -> bool:
        """Let the server copy an object, unless the key exists."""
        facts = self._objects.head(source)
        try:
            self._objects.head(key)
        except NotFoundError:
            pass
        else:
            return False
        if facts.size == 0:  # no part may be empty
            return self._objects.create(key, b"", None)
        names = [self._in_bucket(name) for name in (source, key)]
        bucket, where = self._at.bucket, f"{key} in {self.address}"
        if facts.size <= s3_copy.ONE_COPY and self._heeds(names[0]):
            return s3_copy.copy_at_once(self._call, bucket, *names, where=where)
        return s3_copy.copy_in_parts(
            self._call,
            bucket,
            *names,
            size=facts.size,
            metadata={METADATA: facts.digest.hex} if facts.digest else {},
            where=where,
        )

    def _heeds(self, key: str) -> bool:
        """Ask the server once; of threads that ask at the same time, each takes its answer."""
        if self._copies_at_once is None:
            call, bucket = self._call, self._at.bucket
            self._copies_at_once = s3_copy.heeds_conditions(call, bucket, key)
        return self._copies_at_once

    def _in_bucket(self, key: str) -> str:
        return "/".join(part for part in (self._at.prefix, checked(key)) if part)

    def replace(self, key: str, data: bytes) -> None:
        """Write a mutable object."""
        self._objects.replace(key, data)

    def delete(self, key: str) -> None:
        """Remove an object if it is there."""
        self._objects.delete(key)

    def unfinished(self) -> Iterator[Unfinished]:
        """Yield uploads in parts that were begun and neither completed nor aborted."""
        return s3_unfinished.uploads(self._call, self._at.bucket, self._at.prefix, self.address)

    def discard(self, item: Unfinished) -> None:
        """Abort one of these."""
        s3_unfinished.abort(self._call, self._at.bucket, item, self.address)

    def objects(self, prefix: str = "") -> obstore.store.ObjectStore:
        """Return the Rust-backed view below a prefix."""
        below = checked(prefix.rstrip("/")) if prefix else ""
        return self._view("/".join(p for p in (self._at.prefix, below) if p))

    def _view(self, prefix: str, client: "ClientConfig" = CLIENT) -> obstore.store.S3Store:
        config: S3Config = {
            "region": self._at.region or "us-east-1",
            "skip_signature": self._at.anonymous,
            "checksum_algorithm": "SHA256",
        }
        if self._at.endpoint:
            config["aws_endpoint_url_s3"] = self._at.endpoint
            client = {**client, **staying(self._at.endpoint, self._environ)}
        provider = None
        if not self._at.anonymous:
            s3_credentials.refuse_half_a_key(self._environ, self.address)
            if not self._environ.get(s3_credentials.KEY):
                provider = s3_credentials.found(self.address)
                if self._at.region is None and provider.region:
                    config["region"] = provider.region
        if not self._at.endpoint and any(self._environ.get(v) == "" for v in ENDPOINTS):
            # obstore would take the empty text for an address, and panic.
            config["aws_endpoint_url_s3"] = f"https://s3.{config['region']}.amazonaws.com"
        return obstore.store.S3Store(
            self._at.bucket,
            prefix=prefix or None,
            config=config,
            client_options={**client, "allow_http": True},
            retry_config=RETRY,
            credential_provider=provider,
        )

    def _refuse_web_pages(self) -> None:
        """Tell an empty bucket from a web server that answers anything with a page."""
        # A page is no list, and obstore reads nothing out of it. Only such a server holds a key
        # that nobody writes; one that does not say is believed.
        try:
            self._objects.head(NEVER_WRITTEN)
        except (NotFoundError, StorageError):
            return
        raise refusals.web_page(self.address)

    def _create_large(self, key: str, source: Path, size: int, digest: Digest | None) -> bool:
        """Upload in parts; the condition is checked when they are put together."""
        try:
            self._objects.head(key)
        except NotFoundError:
            return self._parts.create(key, source, size, digest)
        return False  # spares the upload; whoever comes later is caught at the end

    @cached_property
    def _botocore(self) -> Any:  # Any: botocore has no types
        return self._closed_at_the_end(
            checksums.client(
                endpoint=self._at.endpoint,
                region=self._at.region,
                anonymous=self._at.anonymous,
            )
        )

    @cached_property
    def _parts(self) -> PartUploads:
        return PartUploads(self._writer, self._at, self._sizes, self._memory)

    @cached_property
    def _writer(self) -> Any:  # Any: as above
        import botocore.session
        from botocore import UNSIGNED
        from botocore.config import Config

        if not self._at.anonymous:
            s3_credentials.refuse_half_a_key(self._environ, self.address)
        config = Config(
            signature_version=UNSIGNED if self._at.anonymous else None,
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=PART_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": PART_TRIES},
            max_pool_connections=PARTS_IN_FLIGHT,
            s3={"addressing_style": "path" if self._at.endpoint else "auto"},
            # Nothing but the sha256 of each part: many a server refuses newer checksums.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        client = botocore.session.Session().create_client(
            "s3",
            endpoint_url=self._at.endpoint,
            region_name=self._at.region,
            config=config,
        )
        return self._closed_at_the_end(client)

    def _call(self, operation: str, **arguments: object) -> Mapping[str, Any]:  # Any: as above
        answer: Mapping[str, Any] = getattr(self._writer, operation)(**arguments)
        return answer

    def _closed_at_the_end(self, client: Any) -> Any:  # Any: as above
        weakref.finalize(self, client.close)
        return client


def _sizes(environ: Mapping[str, str]) -> Sizes:
    """Read how large parts are to be, for lines and servers that like others better."""
    text = environ.get(PART_MIB)
    if not text:
        return Sizes()
    if not (text.isascii() and text.isdigit() and MIN_PART <= int(text) * MIB <= MAX_PART):
        raise InvalidError(
            f"{text!r} is not the size of a part",
            where=f"${PART_MIB}",
            fix=f"write MiB from {MIN_PART // MIB} to {MAX_PART // MIB}, or unset it",
        )
    return Sizes(part=int(text) * MIB)

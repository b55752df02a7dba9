"""A store in an S3 bucket, at AWS or at any server that speaks S3.

obstore sends every request but one: files over `ONE_PUT` go through s3fs, because obstore has
no conditional multipart upload. Both find credentials as the AWS tools do.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore.store

from scidata.digest import Digest
from scidata.errors import InvalidError, NotFoundError, StorageError
from scidata.storage import checksums, refusals, s3_copy, s3_unfinished
from scidata.storage.addresses import split_url
from scidata.storage.base import ObjectFacts, Unfinished
from scidata.storage.keys import checked
from scidata.storage.objects import METADATA, Objects

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config, S3Credential

ONE_PUT = 64 * 2**20
"""Up to this many bytes go in one request, which the server checks against their sha256."""
PART = 16 * 2**20
PARTS_AT_ONCE = 4
MAX_PARTS = 10_000
CONNECT_TIMEOUT_S = 3
ANSWER_TIMEOUT_S = 10
"""Until an answer begins, and between its pieces; a silent server is asked thrice."""
UPLOAD_TIMEOUT_S = 300
"""The same for what is larger than `QUICK_PUT`: sending it counts, too, and lines are slow."""
PART_TIMEOUT_S = 60
"""Until the server confirms that it has a part; sending it does not count."""
NEVER_WRITTEN = "scidata-asks-for-what-is-not-there"
CREDENTIALS_LAST = timedelta(minutes=10)

CLIENT: "ClientConfig" = {
    "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT_S),
    "read_timeout": timedelta(seconds=ANSWER_TIMEOUT_S),
    "timeout": timedelta(minutes=10),  # a whole object over a slow line
}
UPLOAD: "ClientConfig" = {**CLIENT, "read_timeout": timedelta(seconds=UPLOAD_TIMEOUT_S)}
RETRIES = 2
RETRY: "RetryConfig" = {"max_retries": RETRIES}


@dataclass(frozen=True, kw_only=True)
class S3Address:
    """Where a bucket is and how to reach it; never with which credentials."""

    bucket: str
    prefix: str
    endpoint: str | None
    region: str | None
    anonymous: bool

    def __str__(self) -> str:
        url = f"s3://{self.bucket}/{self.prefix}".rstrip("/")
        return f"{url} at {self.endpoint}" if self.endpoint else url


def parse_address(
    url: str, *, endpoint_url: str | None, anonymous: bool, environ: Mapping[str, str]
) -> S3Address:
    """Combine a URL, options and the AWS environment; options go before the environment.

    Raises
    ------
    InvalidError
        If the URL names no bucket, or it or the endpoint carries credentials or a query.
    """
    parts = split_url(url)
    endpoint = (
        endpoint_url or environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
    )
    if (
        parts is None
        or not parts.netloc
        or "@" in parts.netloc
        or parts.query
        or parts.fragment
    ):
        # The URL itself is not quoted: it may hold a secret.
        raise InvalidError(
            "the store's URL is not s3://bucket/prefix",
            where="--store",
            fix="write s3://bucket/prefix; credentials belong in the AWS environment",
        )
    if endpoint and not _plain_http(endpoint):
        raise InvalidError(
            "the endpoint is not http:// or https:// with a host and nothing secret",
            where="--endpoint-url, $AWS_ENDPOINT_URL_S3 or $AWS_ENDPOINT_URL",
            fix="write https://host or http://host:port",
        )
    return S3Address(
        bucket=parts.netloc,
        prefix=parts.path.strip("/"),
        endpoint=endpoint.rstrip("/") if endpoint else None,
        region=environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION"),
        anonymous=anonymous or environ.get("AWS_SKIP_SIGNATURE", "").lower() == "true",
    )


class S3Store:
    """Objects of a bucket below a prefix."""

    def __init__(self, address: S3Address, *, environ: Mapping[str, str]) -> None:
        self._at = address
        self._environ = environ
        self.url = f"s3://{address.bucket}/{address.prefix}".rstrip("/")
        self.address = str(address)
        self.writable = not address.anonymous
        self.lists = True
        uploads = partial(self._view, address.prefix, UPLOAD)
        self._copies_at_once: bool | None = None
        self._objects = Objects(self._view(address.prefix), self.address, uploads=uploads)

    def read(self, key: str, *, limit: int = 256 * 2**20) -> bytes:
        """Return a small object."""
        return self._objects.read(key, limit)

    def stream(self, key: str, *, start: int = 0) -> Iterator[bytes]:
        """Yield an object's bytes from `start`."""
        return self._objects.stream(key, start)

    def head(self, key: str) -> ObjectFacts:
        """Return size, time and, of an object the server compared with it, the digest."""
        facts = self._objects.head(key)
        # What went in parts may differ from its metadata: the file changed on its way.
        return facts if facts.size <= ONE_PUT else replace(facts, digest=None)

    def checksums(self, key: str) -> checksums.Stored:
        """Return the checksums that S3 keeps of one object."""
        path = "/".join(p for p in (self._at.prefix, checked(key)) if p)
        return checksums.head(
            self._botocore, self._at.bucket, path, where=f"{key} in {self.address}"
        )

    def list(self, prefix: str = "") -> Iterator[ObjectFacts]:
        """Yield the objects whose key starts with `prefix`; S3 sorts them."""
        empty = True
        for facts in self._objects.list(prefix):
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
            data = b"" if size > ONE_PUT else source.read_bytes()
        except OSError as error:
            raise refusals.from_disk(error, where=str(source)) from error
        if size > ONE_PUT:
            return self._create_large(checked(key), source, digest)
        return self._objects.create(key, data, digest)

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
            return s3_copy.copy_at_once(self._s3fs.call_s3, bucket, *names, where=where)
        return s3_copy.copy_in_parts(
            self._s3fs.call_s3,
            bucket,
            *names,
            size=facts.size,
            metadata={METADATA: facts.digest.hex} if facts.digest else {},
            where=where,
        )

    def _heeds(self, key: str) -> bool:
        """Ask the server once; of threads that ask at the same time, each takes its answer."""
        if self._copies_at_once is None:
            call, bucket = self._s3fs.call_s3, self._at.bucket
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
        return s3_unfinished.uploads(self._s3fs, self._at.bucket, self._at.prefix, self.address)

    def discard(self, item: Unfinished) -> None:
        """Abort one of these."""
        s3_unfinished.abort(self._s3fs, self._at.bucket, item, self.address)

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
        provider = None
        self._refuse_half_a_key()
        if not self._at.anonymous and not self._environ.get("AWS_ACCESS_KEY_ID"):
            provider = _aws_chain(self.address)
            if self._at.region is None and provider.region:
                config["region"] = provider.region
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

    def _refuse_half_a_key(self) -> None:
        key, secret = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
        if not self._at.anonymous and self._environ.get(key) and not self._environ.get(secret):
            raise StorageError(
                f"{key} is set without {secret}",
                where=self.address,
                fix=f"set {secret}, too, or unset {key} and set AWS_PROFILE",
            )

    def _create_large(self, key: str, source: Path, digest: Digest | None) -> bool:
        """Upload in parts; the condition is checked when they are put together."""
        before = source.stat()
        try:
            self._objects.head(key)
        except NotFoundError:
            if not self._put_parts(key, source, before.st_size, digest):
                return False
        else:
            return False  # spares the upload; whoever comes later is caught at the end
        after = source.stat()
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise refusals.changed_on_its_way(str(source), sent_to=f"{self.url}/{key}")
        return True

    def _put_parts(self, key: str, source: Path, size: int, digest: Digest | None) -> bool:
        from botocore.exceptions import BotoCoreError, ClientError

        path = "/".join(p for p in (self._at.bucket, self._at.prefix, key) if p)
        options: dict[str, object] = {"Metadata": {METADATA: digest.hex} if digest else {}}
        if find_spec("awscrt"):
            # Without awscrt botocore cannot compute it, and sends CRC32 for each part instead.
            options["ChecksumAlgorithm"] = "CRC64NVME"
        try:
            self._s3fs.put_file(
                str(source),
                path,
                mode="create",
                chunksize=max(PART, math.ceil(size / MAX_PARTS)),
                max_concurrency=PARTS_AT_ONCE,
                **options,
            )
        except (BotoCoreError, ClientError, OSError) as error:
            if refusals.is_taken(error):
                return False
            raise refusals.from_parts(error, where=f"{key} in {self.address}") from error
        return True

    @cached_property
    def _botocore(self) -> Any:  # Any: botocore has no types
        return checksums.client(
            endpoint=self._at.endpoint, region=self._at.region, anonymous=self._at.anonymous
        )

    @cached_property
    def _s3fs(self) -> Any:  # Any: s3fs has no types
        import s3fs

        return s3fs.S3FileSystem(
            anon=self._at.anonymous,
            endpoint_url=self._at.endpoint,
            client_kwargs={"region_name": self._at.region} if self._at.region else {},
            config_kwargs={
                "connect_timeout": CONNECT_TIMEOUT_S,
                "read_timeout": PART_TIMEOUT_S,
                "retries": {"mode": "standard", "max_attempts": 3},
            },
            skip_instance_cache=True,
        )


def _aws_chain(address: str) -> "_AwsChain":
    from botocore.exceptions import BotoCoreError, ProfileNotFound

    try:
        return _AwsChain(address)
    except BotoCoreError as error:
        # Other messages may quote what a credential process printed.
        what = error if isinstance(error, ProfileNotFound) else type(error).__name__
        raise StorageError(
            f"the AWS settings cannot be used: {what}",
            where=address,
            fix="correct AWS_PROFILE or the files in ~/.aws, or read public data with "
            "--no-sign-request",
        ) from error


class _AwsChain:
    """Profiles, SSO, web identity, container and instance roles, as botocore finds them."""

    def __init__(self, address: str) -> None:
        import botocore.session

        session = botocore.session.Session()
        self.region: str | None = session.get_config_variable("region")
        credentials = session.get_credentials()
        if credentials is None:
            raise StorageError(
                "no AWS credentials were found",
                where=address,
                fix="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE, or read "
                "public data with --no-sign-request",
            )
        self._credentials = credentials

    def __call__(self) -> "S3Credential":
        frozen = self._credentials.get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key or "",
            "secret_access_key": frozen.secret_key or "",
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + CREDENTIALS_LAST,
        }


def _plain_http(endpoint: str) -> bool:
    parts = split_url(endpoint)
    return (
        parts is not None
        and parts.scheme in {"http", "https"}
        and bool(parts.hostname)
        and parts.username is None
        and not (parts.query or parts.fragment)
    )

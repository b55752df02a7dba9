"""Which bucket, at which server: from a URL, options and the AWS environment."""

from collections.abc import Mapping
from dataclasses import dataclass

from scidata.errors import InvalidError
from scidata.storage.addresses import split_url

ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
"""Variables that name the server; the first that is not empty."""


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
    endpoint = endpoint_url or next(filter(None, map(environ.get, ENDPOINTS)), None)
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


def _plain_http(endpoint: str) -> bool:
    parts = split_url(endpoint)
    return (
        parts is not None
        and parts.scheme in {"http", "https"}
        and bool(parts.hostname)
        and parts.username is None
        and not (parts.query or parts.fragment)
    )

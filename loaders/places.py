"""Where objects are, and what is said of those that are not as they should be."""

from dataclasses import dataclass
from typing import Any

import obstore.store

from scidata.errors import Damage, IntegrityError
from scidata.storage import open_store


@dataclass(frozen=True)
class Place:
    """Where objects are, as it may travel to another process: never with credentials.

    obstore's own pickles hold the secret key, and do not open again with every configuration.
    """

    url: str
    endpoint: str | None = None
    anonymous: bool = False

    @classmethod
    def of(cls, objects: obstore.store.ObjectStore) -> "Place | None":
        """Say where objects are; None for those in this process's memory."""
        if isinstance(objects, obstore.store.LocalStore):
            return cls(str(objects.prefix))
        if isinstance(objects, obstore.store.HTTPStore):
            return cls(objects.url)
        if not isinstance(objects, obstore.store.S3Store):
            return None
        config: dict[str, Any] = dict(objects.config)  # Any: obstore leaves values untyped
        endpoint = config.get("endpoint_url_s3") or config.get("endpoint")
        url = f"s3://{config['bucket']}/{objects.prefix or ''}".rstrip("/")
        return cls(url, endpoint, str(config.get("skip_signature")).lower() == "true")

    def through_python(self, *, asynchronous: bool = True) -> Any:  # Any: no types
        """Return a file system for S3 or https that needs nothing from Rust."""
        if self.url.startswith("s3://"):
            import s3fs

            return s3fs.S3FileSystem(
                anon=self.anonymous,
                endpoint_url=self.endpoint,
                asynchronous=asynchronous,
                skip_instance_cache=True,
            )
        from fsspec.implementations.http import HTTPFileSystem

        return HTTPFileSystem(asynchronous=asynchronous, skip_instance_cache=True)

    def open(self) -> obstore.store.ObjectStore:
        """Open the objects; credentials come from this process's environment."""
        store = open_store(self.url, endpoint_url=self.endpoint, anonymous=self.anonymous)
        return store.objects()


def damaged(key: str, where: str, damage: Damage) -> IntegrityError:
    """Say that an object is missing or differs from the manifest."""
    return IntegrityError(
        str(damage),
        where=where,
        fix="run scidata verify on this version; if it repeats, use another copy",
        damage=[damage],
    )

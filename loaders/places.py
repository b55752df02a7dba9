"""Where objects are, and what is said of those that are not as they should be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import obstore.store

from scidata.errors import Damage, IntegrityError
from scidata.storage import open_store
from scidata.storage.http import HttpStore
from scidata.storage.staying import is_staying, staying_watch

if TYPE_CHECKING:
    from scidata.published import Published


@dataclass(frozen=True)
class Place:
    """Where objects are, as it may travel to another process: never with credentials.

    obstore's own pickles hold the secret key, and do not open again with every configuration.
    """

    url: str
    endpoint: str | None = None
    anonymous: bool = False
    stays: bool = False
    """No other host is asked, whatever the server answers."""

    @classmethod
    def of(cls, objects: obstore.store.ObjectStore) -> "Place | None":
        """Say where objects are; None for those in this process's memory."""
        if isinstance(objects, obstore.store.LocalStore):
            return cls(str(objects.prefix))
        if isinstance(objects, obstore.store.HTTPStore):
            return cls(objects.url, stays=is_staying(objects.client_options))
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

        watched = {"trace_configs": [staying_watch(self.url)]} if self.stays else {}
        return HTTPFileSystem(
            asynchronous=asynchronous, skip_instance_cache=True, client_kwargs=watched
        )

    def open(self) -> obstore.store.ObjectStore:
        """Open the objects; credentials come from this process's environment."""
        if self.stays:
            return HttpStore(self.url, stays=True).objects()
        store = open_store(self.url, endpoint_url=self.endpoint, anonymous=self.anonymous)
        return store.objects()


@dataclass(frozen=True)
class Spread:
    """Objects of one asset that lie in several places, each under its path in the asset."""

    views: tuple[obstore.store.ObjectStore, ...]
    number: Mapping[str, int]
    """By path, which of the views holds it."""

    def view(self, path: str) -> obstore.store.ObjectStore:
        """Return the view that holds a path."""
        return self.views[self.number[path]]

    def __getstate__(self) -> dict[str, Any]:
        """Put the views' places in their stead, so that no credential travels."""
        return {"views": tuple(Place.of(v) or v for v in self.views), "number": self.number}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Open the views in this process."""
        views = (v.open() if isinstance(v, Place) else v for v in state["views"])
        self.__dict__.update(views=tuple(views), number=state["number"])


AssetObjects: TypeAlias = obstore.store.ObjectStore | Spread
"""An asset's objects, by their path in it: in one place, as nearly always, or in several."""


def view_of(objects: AssetObjects, path: str) -> obstore.store.ObjectStore:
    """Return what holds one of an asset's objects."""
    return objects.view(path) if isinstance(objects, Spread) else objects


def asset_objects(published: "Published", folder: str, paths: Sequence[str]) -> AssetObjects:
    """Open the objects of an asset, by their paths below a folder, wherever they lie."""
    roots = published.locations.roots(paths)
    views = tuple(published.store.objects(f"{root}/{folder}") for root in roots)
    if len(views) == 1:
        return views[0]
    number = {
        path.removeprefix(f"{folder}/"): count
        for count, held in enumerate(roots.values())
        for path in held
    }
    return Spread(views, number)


def damaged(key: str, where: str, damage: Damage) -> IntegrityError:
    """Say that an object is missing or differs from the manifest."""
    return IntegrityError(
        str(damage),
        where=where,
        fix="run scidata verify on this version; if it repeats, use another copy",
        damage=[damage],
    )

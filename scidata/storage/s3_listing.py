"""Listings that show every key of a bucket, also those that are no paths.

S3 takes keys with empty parts, `.` and `..`; consoles, sync tools and enemies write them.
obstore lists none of a page that holds one, so from there on botocore is asked.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import obstore.exceptions

from scidata.errors import StorageError
from scidata.storage import refusals
from scidata.storage.base import ObjectFacts
from scidata.storage.s3_copy import Call


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What lies below a prefix of a bucket."""

    call: Call
    """Sends a request by its name in botocore."""
    bucket: str
    top: str
    """What the store's keys begin with, and its slash."""
    prefix: str
    """Below that."""
    address: str
    """Of the store, for messages."""

    def complete(self, listed: Iterator[ObjectFacts]) -> Iterator[ObjectFacts]:
        """Pass on what obstore lists, and continue where it cannot.

        Raises
        ------
        StorageError
            If the server fails.
        """
        last = ""
        try:
            for facts in listed:
                last = facts.key
                yield facts
        except StorageError as error:
            if not isinstance(error.__cause__, obstore.exceptions.InvalidPathError):
                raise
        else:
            return
        yield from self._after(last)

    def _after(self, last: str) -> Iterator[ObjectFacts]:
        from botocore.exceptions import BotoCoreError, ClientError

        place = {"StartAfter": self.top + last} if last else {}
        below = {"Bucket": self.bucket, "Prefix": self.top + self.prefix}
        while True:
            try:
                page = self.call("list_objects_v2", **below, **place)
            except (BotoCoreError, ClientError) as error:
                where = f"{self.prefix or '(all keys)'} in {self.address}"
                raise refusals.from_parts(error, where=where) from error
            for item in page.get("Contents", ()):
                yield ObjectFacts(
                    key=item["Key"].removeprefix(self.top),
                    size=item["Size"],
                    modified=item["LastModified"].isoformat().replace("+00:00", "Z"),
                    etag=str(item["ETag"]).strip('"'),
                )
            if not page.get("IsTruncated"):
                return
            place = {"ContinuationToken": page["NextContinuationToken"]}

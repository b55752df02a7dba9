"""Files outside a store, compared with what was noted of them when they were adopted."""

from collections.abc import Collection, Iterator, Mapping

from scidata.errors import Damage, IntegrityError, InvalidError, NotFoundError
from scidata.manifest import MANIFEST_TABLE
from scidata.manifest_index import Noted, parse_noted
from scidata.resolve import read_tag
from scidata.storage.base import ObjectFacts, Store
from scidata.version import CommitRecord

CHANGED = "the source changed"


def changed_sources(
    store: Store,
    commit: CommitRecord,
    sources: Mapping[str, ObjectFacts],
    chosen: Collection[str],
) -> Iterator[Damage]:
    """Yield every file whose size, ETag or time is no longer what was noted.

    Those that have vanished are not among the sources, and are found missing.
    """
    if not sources:
        return
    key = f"v{commit.version}/{MANIFEST_TABLE}"
    try:
        noted = parse_noted(read_tag(store, commit, key), where=key)
    except (IntegrityError, InvalidError, NotFoundError):  # damage that is told of elsewhere
        return
    for path in sorted(sources.keys() & noted.keys() & set(chosen)):
        now, then = sources[path], noted[path]
        if fault := _difference(now, then):
            expected, found = fault
            yield Damage(path=path, state="bad", expected=expected, found=f"{found}: {CHANGED}")


def _difference(now: ObjectFacts, then: Noted) -> tuple[str, str] | None:
    if now.size != then.size:
        return f"{then.size} bytes", f"{now.size} bytes"
    # An ETag says more than a time, which a copy of the same bytes changes.
    if now.etag and then.etag:
        same = now.etag == then.etag
        return None if same else (f"the ETag {then.etag}", f"the ETag {now.etag}")
    if now.modified and then.modified and now.modified != then.modified:
        return f"modified {then.modified}", f"modified {now.modified}"
    return None

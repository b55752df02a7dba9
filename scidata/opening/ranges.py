"""A large payload file of a version as a file: only the ranges that are read are fetched."""

import io

from scidata.errors import Damage, IntegrityError
from scidata.published import Published
from scidata.storage.stored_file import BLOCK, StoredFile


def open_ranges(published: Published, path: str, size: int) -> io.BufferedReader:
    """Open a payload file of `size` bytes; that the object has this size is checked.

    Raises
    ------
    NotFoundError, StorageError
        If it cannot be read.
    IntegrityError
        If it has another size.
    """
    where = f"{published.commit.name}/{path} at {published.store.url}"
    key = published.locations.of(path).key
    found = published.store.head(key).size
    if found != size:
        state = f"{size} bytes", f"{found} bytes"
        damage = Damage(path=path, state="bad", expected=state[0], found=state[1])
        raise IntegrityError(
            str(damage),
            where=where,
            fix="run scidata verify on this version; if it repeats, use another copy",
            damage=[damage],
        )
    folder, _, name = key.rpartition("/")
    objects = published.store.objects(folder)
    return io.BufferedReader(StoredFile(objects, name, size, where), buffer_size=BLOCK // 16)

"""Compare a local copy, or a version in a store, with its manifest: name every bad file.

Nothing is written and nothing is repaired: `scidata.pull` fetches what is damaged again.
"""

from collections.abc import Iterable
from pathlib import Path

from scidata.compare import Verified
from scidata.digest import Digest
from scidata.errors import NotFoundError
from scidata.hashing import Progress
from scidata.sshsig import PublicKey
from scidata.storage import StoreLike, open_store

__all__ = ["Verified", "verify"]


def verify(
    target: Path | str,
    store: StoreLike | None = None,
    *,
    digest: Digest | str | None = None,
    name: str | None = None,
    fast: bool = False,
    globs: Iterable[str] = (),
    trusted: Iterable[PublicKey] = (),
    progress: Progress | None = None,
) -> Verified:
    """Compare every byte of a copy or a version with its manifest.

    Parameters
    ----------
    target : Path or str
        A folder that holds a version (or any BagIt bag with sha256), or a reference such as
        ``tevolop@1.0.0`` to a version in the store.
    store : Store, str, Path or None
        For a reference: where it is; None stands for the default store. For a folder: where
        its manifest is compared with the published one; None compares it with nothing outside.
    digest : Digest or str, optional
        The version's digest as it was cited: the manifest must have it.
    name : str, optional
        For a folder: the version that it should hold, if its own word is not to be taken.
    fast : bool
        Compare names and sizes only; the tag files are read all the same.
    globs : iterable of str
        Payload to look at, by paths as in the manifest; ``*`` matches across ``/``. All of it
        by default.
    trusted : iterable of PublicKey
        Keys (see `scidata.signing.load_trusted`), one of which must have signed the version's
        commit record in the store. Looked at first. None by default: no signature is asked for.
    progress : Progress, optional
        Bytes read and in all.

    Returns
    -------
    Verified
        With every bad, missing and extra file; damage is a result, not an error.

    Raises
    ------
    NotFoundError
        If there is no such folder or version, or no file matches a glob.
    InvalidError
        If the folder holds no bag, or no sha256 manifest.
    IntegrityError
        If the store's own commit record contradicts the digest or itself.
    SignatureError
        If `trusted` is given and none of these keys signed the version; no file was looked at.
    StorageError
        If a file or the store cannot be read, so that nothing can be said.
    """
    pin = Digest.parse(digest) if isinstance(digest, str) else digest
    folder = Path(target)
    keys = tuple(trusted)
    if folder.is_dir():
        from scidata.verifying.folder import verify_folder

        return verify_folder(
            folder,
            open_store(store) if store is not None or keys else None,
            digest=pin,
            name=name,
            fast=fast,
            globs=tuple(globs),
            trusted=keys,
            progress=progress,
        )
    if isinstance(target, Path) or _looks_like_path(target):
        raise NotFoundError(
            f"there is no folder {str(target)!r}",
            where=str(folder.absolute().parent),
            fix="give an existing folder, or a version such as tevolop@1.0.0",
        )
    from scidata.verifying.version import verify_version

    return verify_version(
        target,
        open_store(store),
        digest=pin,
        fast=fast,
        globs=tuple(globs),
        trusted=keys,
        progress=progress,
    )


def _looks_like_path(target: str) -> bool:
    return "@" not in target and ("/" in target or target.startswith((".", "~")))

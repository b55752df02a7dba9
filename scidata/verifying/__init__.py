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
from scidata.verifying.choice import choose

__all__ = ["Verified", "verify"]


def verify(
    target: Path | str,
    store: StoreLike | None = None,
    *,
    digest: Digest | str | None = None,
    name: str | None = None,
    fast: bool = False,
    remote: bool = False,
    sample: str | None = None,
    subset: str | None = None,
    globs: Iterable[str] = (),
    assets: Iterable[str] = (),
    trusted: Iterable[PublicKey] = (),
    progress: Progress | None = None,
) -> Verified:
    """Compare a copy or a version with its manifest: every byte, unless asked for less.

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
    remote : bool
        Instead of reading the payload, compare the checksums that S3 keeps of it.
    sample : str, optional
        Look into a share (``1%``), a number (``300``) or an amount (``50G``) of the files; of
        the others compare names and sizes. Which ones, the version's digest fixes.
    subset : str, optional
        Look into the k-th of n parts, ``k/n``, that together are all files.
    globs : iterable of str
        Payload to look at, by paths as in the manifest; ``*`` matches across ``/``. All of it
        by default.
    assets : iterable of str
        Keys of assets to look at, beside what the globs match.
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
        If there is no such folder, version or asset, or no file matches a glob.
    InvalidError
        If the folder holds no bag, or no sha256 manifest; if the options contradict each
        other; or if `remote` is asked of what keeps no checksums.
    IntegrityError
        If the store's own commit record contradicts the digest or itself.
    SignatureError
        If `trusted` is given and none of these keys signed the version; no file was looked at.
    StorageError
        If a file or the store cannot be read, so that nothing can be said.
    """
    choice = choose(
        fast=fast, remote=remote, sample=sample, subset=subset, globs=globs, assets=assets
    )
    pin = Digest.parse(digest) if isinstance(digest, str) else digest
    folder = Path(target)
    keys = tuple(trusted)
    if folder.is_dir():
        from scidata.verifying.folder import verify_folder

        try:
            return verify_folder(
                folder,
                open_store(store) if store is not None or keys else None,
                digest=pin,
                name=name,
                choice=choice,
                trusted=keys,
                progress=progress,
            )
        except NotFoundError as error:
            if store is not None or not keys:
                raise
            raise NotFoundError(
                f"signatures lie in the store of a version, and {error.message}",
                where=error.where,
                fix="name the store where it was published: --store URL",
            ) from error
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
        choice=choice,
        trusted=keys,
        progress=progress,
    )


def _looks_like_path(target: str) -> bool:
    return "@" not in target and ("/" in target or target.startswith((".", "~")))

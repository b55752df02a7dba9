"""Who vouches for a version: signatures of its commit record, made and checked.

The bytes signed are those of ``versions/1.0.0.json``, which names the version's digest and
that of every tag file. Signatures lie beside it, as ``versions/1.0.0.json.sig``,
``….json.2.sig`` and so on: created once, at any time, by anybody who may write, so what counts
is whose they are.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from scidata.errors import (
    ConflictError,
    IntegrityError,
    InvalidError,
    NotFoundError,
    Problem,
    SignatureError,
    StorageError,
)
from scidata.resolve import commit_key, read_commit_object, resolve
from scidata.sshsig import (
    MAX_KEY_BYTES,
    MAX_SIGNATURE_BYTES,
    PublicKey,
    Signature,
    SigningKey,
    parse_public_keys,
    read_private_key,
)
from scidata.storage import StoreLike, open_store
from scidata.storage.addresses import options_of
from scidata.storage.base import Store
from scidata.version import CommitRecord

MAX_SIGNATURES = 16
"""Of one version; more are not looked for, so that nobody can make readers ask for ever."""

State: TypeAlias = Literal["missing", "malformed", "wrong", "untrusted"]

_SAID: dict[State, str] = {
    "missing": "is not signed",
    "malformed": "has a signature that cannot be read",
    "wrong": "has a signature that does not fit it",
    "untrusted": "is signed, but by no key that you trust",
}


@dataclass(frozen=True, kw_only=True)
class Signed:
    """A signature of a version that fits it."""

    name: str
    """Such as ``tevolop@1.0.0``."""
    digest: str
    path: str
    """Of the signature, below the dataset's prefix: ``versions/1.0.0.json.sig``."""
    key: PublicKey
    already: bool = False
    """When signing: the key had signed before."""


def load_key(path: Path, passphrase: Callable[[], str] | None = None) -> SigningKey:
    """Read a private key from a file.

    Raises
    ------
    NotFoundError
        If there is no such file.
    InvalidError
        If it is no private key of a kind known here, or the passphrase does not open it.
    """
    return read_private_key(_key_file(path), where=str(path), passphrase=passphrase)


def load_trusted(paths: Iterable[str | Path]) -> tuple[PublicKey, ...]:
    """Read public keys from files of one or several each.

    Raises
    ------
    NotFoundError
        If a file is not there.
    InvalidError
        If one holds anything but public keys of kinds known here, or no key.
    """
    return tuple(
        key
        for path in map(Path, paths)
        for key in parse_public_keys(_key_file(path), where=str(path))
    )


def sign(reference: str, key: SigningKey, store: StoreLike | None = None) -> Signed:
    """Sign a version that is published. Look at it first: a signature cannot be taken back.

    Raises
    ------
    NotFoundError, IntegrityError, InvalidError, StorageError
        As `scidata.resolve.resolve`; or the store is read-only.
    ConflictError
        If the version has as many signatures as are ever looked for.
    """
    opened = open_store(store)
    return sign_commit(opened, resolve(reference, opened), key)


def plan_sign(reference: str, key: SigningKey, store: StoreLike | None = None) -> Signed:
    """Say what `sign` would do; nothing is written."""
    opened = open_store(store)
    return _plan(opened, resolve(reference, opened), key.public)[0]


def sign_commit(store: Store, commit: CommitRecord, key: SigningKey) -> Signed:
    """Sign the version that a commit record in hand describes; the store must agree with it.

    Raises
    ------
    ScidataError
        As `sign`; `IntegrityError` if the store returns another commit record.
    """
    for _ in range(MAX_SIGNATURES):
        planned, message = _plan(store, commit, key.public)
        if planned.already:
            return planned
        data = key.sign(message)
        target = f"{commit.dataset}/{planned.path}"
        if store.create(target, data) or store.read(target, limit=MAX_SIGNATURE_BYTES) == data:
            return planned
    raise _full(store, commit)


def attach(
    reference: str,
    signature: bytes,
    store: StoreLike | None = None,
    *,
    dry_run: bool = False,
) -> Signed:
    """Add a signature that ``ssh-keygen`` made, with a key that scidata need not see.

    Raises
    ------
    SignatureError
        If it cannot be read, or does not fit the version's commit record.
    ScidataError
        As `sign`.
    """
    opened = open_store(store)
    commit = resolve(reference, opened)
    message = _message(opened, commit)
    judged = _judge(signature, message)
    if not isinstance(judged, PublicKey):
        state, reason = judged
        raise SignatureError(
            f"the signature {reason}",
            where=commit.name,
            fix=f"sign the bytes of {commit_key(commit.dataset, commit.version)}, as they are: "
            "ssh-keygen -Y sign -n scidata-version -f KEY FILE",
            state=state,
        )
    if dry_run:
        return _plan(opened, commit, judged)[0]
    return _add(opened, commit, signature, judged)


def copy_signatures(commit: CommitRecord, source: Store, target: Store) -> None:
    """Add the signatures that fit a version to another store that holds the same version.

    Raises
    ------
    ScidataError
        As `sign`.
    """
    message = _message(source, commit)
    for _, data in _signatures(source, commit):
        judged = _judge(data, message)
        if isinstance(judged, PublicKey):
            _add(target, commit, data, judged)


def _add(store: Store, commit: CommitRecord, signature: bytes, key: PublicKey) -> Signed:
    for _ in range(MAX_SIGNATURES):
        planned = _plan(store, commit, key)[0]
        if planned.already or store.create(f"{commit.dataset}/{planned.path}", signature):
            return planned
    raise _full(store, commit)


def read_signature(path: Path) -> bytes:
    """Read a signature from a file; `NotFoundError` if it is not there."""
    return _read_file(path, MAX_SIGNATURE_BYTES, "signature")


def require_signature(
    store: Store, commit: CommitRecord, trusted: Iterable[PublicKey]
) -> Signed:
    """Find a signature of a version by a trusted key.

    Raises
    ------
    SignatureError
        If there is none; ``state`` tells whether none at all, a damaged one, one of other
        bytes, or one by somebody else.
    IntegrityError
        If the store returns another commit record than the one in hand.
    StorageError
        If the store cannot be reached.
    """
    keys = {key.blob: key for key in trusted}
    message = _message(store, commit)
    problems: list[Problem] = []
    states: set[State] = set()
    for path, data in _signatures(store, commit):
        judged = _judge(data, message)
        if isinstance(judged, PublicKey) and judged.blob in keys:
            key = keys[judged.blob]
            return Signed(name=commit.name, digest=commit.digest, path=path, key=key)
        state: State = "untrusted"
        reason = f"is by {judged}"
        if not isinstance(judged, PublicKey):
            state, reason = judged
        states.add(state)
        problems.append(_problem(path, state, reason))
    raise _untrusted(store, commit, states, problems)


def _untrusted(
    store: Store, commit: CommitRecord, states: set[State], problems: list[Problem]
) -> SignatureError:
    worst = next((s for s in ("wrong", "untrusted", "malformed") if s in states), "missing")
    state: State = worst  # type: ignore[assignment]  # one of the four
    fixes: dict[State, str] = {
        "missing": f"ask its publisher to sign it: scidata sign {commit.name} "
        f"{options_of(store)} --key KEY",
        "malformed": "ask its publisher to sign it again: a further signature may be added",
        "wrong": "do not use it before its publisher explains: the commit record was changed "
        "after it was signed, or the signature is of something else",
        "untrusted": "find out whose key this is by other means than this store, and add it to "
        "the keys that you trust if you do",
    }
    return SignatureError(
        f"{commit.name} {_SAID[state]}",
        where=f"{commit_key(commit.dataset, commit.version)} at {store.address}",
        fix=fixes[state],
        state=state,
        problems=problems,
    )


def _problem(path: str, state: State, reason: str) -> Problem:
    return Problem(
        code=f"signature-{state}",
        path=path,
        message=f"the signature {reason}",
        fix="ask whoever published the version",
    )


def _judge(data: bytes, message: bytes) -> PublicKey | tuple[State, str]:
    """Return whose signature this is, or what is wrong with it."""
    try:
        signature = Signature.parse(data)
    except ValueError as error:
        return "malformed", str(error)
    if not signature.fits(message):
        return "wrong", f"does not fit the commit record; it names the key {signature.key}"
    return signature.key


def _message(store: Store, commit: CommitRecord) -> bytes:
    """Read the bytes that are signed. They must say what the commit record in hand says."""
    found, data = read_commit_object(store, commit.dataset, commit.number)
    if found != commit:
        raise IntegrityError(
            f"the store returned two different commit records of {commit.name}",
            where=f"{commit_key(commit.dataset, commit.version)} at {store.address}",
            fix="do not trust this store; read from another copy",
        )
    return data


def _signatures(store: Store, commit: CommitRecord) -> Iterator[tuple[str, bytes]]:
    """Yield the signatures one after the other until there is none; a store need not list."""
    for number in range(1, MAX_SIGNATURES + 1):
        path = signature_path(commit.version, number)
        try:
            yield path, store.read(f"{commit.dataset}/{path}", limit=MAX_SIGNATURE_BYTES)
        except NotFoundError:
            return
        except InvalidError:  # too large, or a link
            yield path, b""


def signature_path(version: str, number: int = 1) -> str:
    """Return where the n-th signature of a version lies, below the dataset's prefix."""
    return f"versions/{version}.json{'' if number == 1 else f'.{number}'}.sig"


def _plan(store: Store, commit: CommitRecord, key: PublicKey) -> tuple[Signed, bytes]:
    message = _message(store, commit)
    if not store.writable:
        raise StorageError(
            "the store is read-only",
            where=store.address,
            fix="give a folder or s3://bucket/prefix, with credentials",
        )
    count = 0
    for path, data in _signatures(store, commit):
        count += 1
        if _judge(data, message) == key:
            return _signed(commit, path, key, already=True), message
    if count == MAX_SIGNATURES:
        raise _full(store, commit)
    return _signed(commit, signature_path(commit.version, count + 1), key), message


def _signed(
    commit: CommitRecord, path: str, key: PublicKey, *, already: bool = False
) -> Signed:
    return Signed(name=commit.name, digest=commit.digest, path=path, key=key, already=already)


def _full(store: Store, commit: CommitRecord) -> ConflictError:
    return ConflictError(
        f"{commit.name} has {MAX_SIGNATURES} signatures, and no more are ever looked for",
        where=f"{commit.dataset}/versions/ at {store.address}",
        fix="remove those that are not of people you know",
    )


def _key_file(path: Path) -> bytes:
    return _read_file(path, MAX_KEY_BYTES, "key")


def _read_file(path: Path, limit: int, what: str) -> bytes:
    try:
        with path.expanduser().open("rb") as file:
            return file.read(limit + 1)
    except FileNotFoundError as error:
        raise NotFoundError(
            f"there is no {what} {str(path)!r}",
            where=str(path.absolute().parent),
            fix=f"give the file of a {what}; ssh-keygen makes both keys and signatures",
        ) from error
    except OSError as error:
        raise InvalidError(
            f"the {what} {str(path)!r} cannot be read: {error.strerror}",
            where=str(path),
            fix="give a file that you may read",
        ) from error

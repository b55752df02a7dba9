"""The life of a DOI: each verb looks first, sends what differs, and looks again.

Running one again is safe, and goes on where the last run stopped.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from scidata.correction import changes
from scidata.doi.client import Registry, seen_state
from scidata.doi.correcting import read_corrected, write_down
from scidata.doi.documents import differences, without_empties
from scidata.doi.judging import Verdict, require
from scidata.doi.ledger import note_findable, reserve
from scidata.doi.results import Done, Preview, Seen, done_of
from scidata.doi.session import DoiOptions, Session, begin, check_page
from scidata.doi.settling import Work, page_of_now
from scidata.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    ScidataError,
)
from scidata.index import rebuild
from scidata.reservation import FindableNote, Reservation
from scidata.storage import StoreLike
from scidata.storage.addresses import options_of
from scidata.storage.base import Store
from scidata.storage.trust import trusted

Attributes: TypeAlias = dict[str, Any]  # Any: JSON at the edge


def preview(
    reference: str, store: StoreLike | None = None, *, options: DoiOptions | None = None
) -> Preview:
    """Return what DataCite would be told of a version, judged here; nothing is sent.

    Raises
    ------
    InvalidError
        If no version is named, or prefix or landing pages are not known.
    ScidataError
        As `scidata.resolve.resolve`.
    """
    session = begin(reference, store, options or DoiOptions())
    document = session.document()
    return Preview(
        name=session.commit.name,
        doi=session.doi,
        concept=session.concept,
        reserved=session.line.reserved is not None,
        document=without_empties(document),
        verdict=session.verdict(document, offline=True),
        warnings=tuple(filter(None, [session.unheeded])),
    )


def draft(
    reference: str, store: StoreLike | None = None, *, options: DoiOptions | None = None
) -> Done:
    """Give a version its DOI, as a draft that nobody else can see; raises as `publish`."""
    session, verdict = _judged(reference, store, options)
    _refuse_withdrawn(session)
    registry = session.registry()
    if not session.options.dry_run:
        _reserve(session, _writable(session))
    work = Work(session, registry)
    steps = [work.settle("version", session.document())]
    return done_of(session, steps, verdict, work.warnings)


def register(
    reference: str, store: StoreLike | None = None, *, options: DoiOptions | None = None
) -> Done:
    """Make a version's DOI resolve without being found in a search, such as for reviewers.

    It stays for ever, too; `publish` makes it findable later, and what is findable stays so.
    Readers of the store are shown it as reserved. Raises as `publish`.
    """
    session, verdict = _judged(reference, store, options)
    _refuse_withdrawn(session)
    registry, dry_run = session.registry(), session.options.dry_run
    if not dry_run:
        _reserve(session, _writable(session))
    work = Work(session, registry)
    document = session.document()
    checked = _page_check(session, work, document)
    steps = [work.settle("version", document, "register", before_event=checked)]
    if not dry_run:
        work.await_handle(session.doi)
    return done_of(session, steps, verdict, work.warnings)


def publish(
    reference: str, store: StoreLike | None = None, *, options: DoiOptions | None = None
) -> Done:
    """Make a version's DOI findable for ever, and that of its dataset.

    The DOI is reserved in the store before DataCite is asked, so that no crash, and no other
    prefix later on, leads to a second one.

    Parameters
    ----------
    reference : str
        ``tevolop@1.0.0`` or ``tevolop@sha256:…``: the version must be named.
    store : Store, str, Path or None
        By default ``$SCIDATA_STORE``, else the user's data folder.

    Raises
    ------
    InvalidError
        If a judge, or DataCite, refuses the metadata: `problems` names fields of the record.
    ConflictError
        If the version is withdrawn, or the DOI is that of other data.
    NotFoundError
        If the version does not exist, or there are no credentials.
    StorageError
        If store, page or DataCite cannot be reached, or DataCite refuses the repository.
    """
    session, verdict = _judged(reference, store, options)
    _refuse_withdrawn(session)
    registry, dry_run = session.registry(), session.options.dry_run
    writable = session.store if dry_run else _writable(session)
    reserved = _reservation(session)
    if not dry_run:
        _reserve(session, writable)
    work = Work(session, registry)
    document = session.document()
    checked = _page_check(session, work, document)
    steps = [work.settle("version", document, "publish", before_event=checked)]
    if not dry_run:
        work.await_handle(session.doi)
        note = FindableNote(
            dataset=session.commit.dataset,
            version=session.commit.version,
            doi=session.doi,
            date=session.options.surroundings.time,
        )
        note_findable(writable, note, test=session.is_test)
    ledger = session.ledger.with_findable(session.commit.version, reserved)
    steps += work.around(ledger)
    if not dry_run and not session.is_test:
        work.warn(_index(writable, session))
    return done_of(session, steps, verdict, work.warnings)


def update(
    reference: str,
    store: StoreLike | None = None,
    *,
    record: Path | None = None,
    options: DoiOptions | None = None,
) -> Done:
    """Bring what DataCite has of a version, its dataset and predecessor up to date.

    States stay as they are.

    Parameters
    ----------
    record : Path, optional
        A corrected record. The version keeps the one that it was published with; the correction
        is written down beside it, once the judges have nothing against it, and before DataCite
        is told. What it may change is `scidata.correction.CORRECTABLE`.

    Raises
    ------
    NotFoundError
        If the version has no DOI yet, or there is no such record.
    InvalidError
        If the record is not valid, or changes more than it may.
    ScidataError
        As `publish`.
    """
    session = begin(reference, store, options or DoiOptions())
    changed: tuple[str, ...] = ()
    if record is not None:
        after = read_corrected(record, session.own)
        changed = changes(session.record, after)
        session = replace(session, record=after)
    registry = session.registry()
    found = _found(session, registry)
    document = session.document(url=page_of_now(session, found, session.commit.version))
    verdict = session.verdict(document)
    require(verdict, where=session.commit.name)
    work = Work(session, registry)
    if changed and not session.options.dry_run:
        _write_down(session, changed)
    steps = [work.settle("version", document)]
    if session.line.findable:
        steps += work.around(session.ledger)
    if record is not None and not session.options.dry_run and not session.is_test:
        # Also where nothing changed: a run that died before may have left them behind.
        work.warn(_index(_writable(session), session))
    return done_of(session, steps, verdict, work.warnings)


def hide(
    reference: str, store: StoreLike | None = None, *, options: DoiOptions | None = None
) -> Done:
    """Take a withdrawn version's DOI out of DataCite's search; it resolves to its tombstone.

    Raises
    ------
    InvalidError
        If the version is not withdrawn or purged, or its DOI is a draft, which nobody can find.
    ScidataError
        As `publish`.
    """
    session = begin(reference, store, options or DoiOptions())
    status = session.line.history.status
    if status is None or session.line.history.is_offered:
        name = session.commit.name
        raise InvalidError(
            f"{name} is not withdrawn",
            where=name,
            fix=f"say why first: scidata status {name} withdrawn --reason TEXT "
            f"{options_of(session.store)}",
        )
    registry = session.registry()
    found = registry.get(session.doi)
    if found is None:
        raise NotFoundError(
            f"DataCite has no DOI {session.doi}, of {session.commit.name}",
            where=session.api,
            fix="there is nothing to hide",
        )
    if seen_state(found) == "draft":
        raise InvalidError(
            f"{session.doi} is a draft, which nobody can find",
            where=f"{session.doi} at {session.api}",
            fix="there is nothing to hide",
        )
    document = session.document(url=page_of_now(session, found, session.commit.version))
    verdict = session.verdict(document)
    require(verdict, where=session.commit.name)
    work = Work(session, registry)
    steps = [work.settle("version", document, "hide", reason=status.reason)]
    return done_of(session, steps, verdict, work.warnings)


def show(
    reference: str, store: StoreLike | None = None, *, options: DoiOptions | None = None
) -> Seen:
    """Compare a version's DOI at DataCite with what the store has; nothing is changed.

    Without credentials only what anybody can see is seen: no draft.

    Raises
    ------
    ScidataError
        As `preview`; `StorageError` if DataCite cannot be reached.
    """
    session = begin(reference, store, options or DoiOptions())
    found = session.registry(anonymous=True).get(session.doi)
    differs: tuple[str, ...] = ()
    if found is not None:
        url = page_of_now(session, found, session.commit.version)
        differs = differences(session.document(url=url), found)
    return Seen(
        name=session.commit.name,
        doi=session.doi,
        concept=session.concept,
        api=session.api,
        reserved=session.line.reserved is not None,
        noted_findable=session.line.findable,
        state=seen_state(found),
        url=str((found or {}).get("url") or ""),
        registered=(found or {}).get("registered"),
        differs=differs,
        warnings=tuple(filter(None, [session.unheeded])),
    )


def _judged(
    reference: str, store: StoreLike | None, options: DoiOptions | None
) -> tuple[Session, Verdict]:
    """Begin, and refuse what a judge refuses, before anything is sent or written."""
    session = begin(reference, store, options or DoiOptions())
    future = session.ledger.with_findable(session.commit.version, _reservation(session))
    verdict = session.verdict(session.document(), session.concept_document(future))
    require(verdict, where=session.commit.name)
    return session, verdict


def _reservation(session: Session) -> Reservation:
    if session.line.reserved is not None:
        return session.line.reserved
    around = session.options.surroundings
    return Reservation(
        dataset=session.commit.dataset,
        version=session.commit.version,
        digest=session.commit.digest,
        doi=session.doi,
        concept=session.concept,
        api=session.api,
        by=around.user[:200],
        date=around.time,
    )


def _reserve(session: Session, store: Store) -> None:
    if session.line.reserved is None:
        reserve(store, _reservation(session), session.commit, test=session.is_test)


def _writable(session: Session) -> Store:
    options = session.options
    store, _ = trusted(session.store, options.surroundings, single_writer=options.single_writer)
    return store


def _write_down(session: Session, changed: tuple[str, ...]) -> None:
    write_down(
        _writable(session),
        session.commit,
        session.record,
        changed,
        last=session.corrections,
        around=session.options.surroundings,
        test=session.is_test,
    )


def _page_check(session: Session, work: Work, document: Attributes) -> Callable[[], None]:
    """Return what asks for the landing page, just before a DOI leads there for ever."""

    def page_is_there() -> None:
        if session.options.check_page:
            work.warn(check_page(document["url"], session.doi, session.options.patience))

    return page_is_there


def _refuse_withdrawn(session: Session) -> None:
    history, name = session.line.history, session.commit.name
    if not history.is_offered:
        known = session.line.reserved is not None
        hiding = f"hide its DOI: scidata doi hide {name} {options_of(session.store)}"
        raise ConflictError(
            f"{name} is {history.state}",
            where=name,
            fix=hiding if known else "give a DOI to a version that people are to use",
        )


def _found(session: Session, registry: Registry) -> Attributes:
    found = registry.get(session.doi)
    if found is None:
        name = session.commit.name
        raise NotFoundError(
            f"DataCite has no DOI {session.doi}, of {name}",
            where=session.api,
            fix=f"make it: scidata doi publish {name} {options_of(session.store)}",
        )
    return found


def _index(store: Store, session: Session) -> str:
    try:
        rebuild(store, [session.commit.dataset])
    except ScidataError as error:
        again = f"scidata index {session.commit.dataset} {options_of(store)}"
        return f"the catalogs are out of date ({error.message}); run: {again}"
    return ""

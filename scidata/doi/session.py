"""What every verb of a DOI begins with: the version, its names, its documents, and DataCite."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import urllib3

from scidata.doi.client import Patience, Registry, seen_state, shortly
from scidata.doi.credentials import (
    BASE_URL,
    PREFIX,
    api_address,
    credentials_of,
    from_keyring,
    is_test,
)
from scidata.doi.documents import (
    DIGEST_TYPE,
    ID_TYPE,
    Names,
    concept_document,
    names_for,
    page_of,
    says,
    version_document,
)
from scidata.doi.judging import Verdict, judge
from scidata.doi.ledger import Ledger, Line, read_ledger
from scidata.errors import ConflictError, InvalidError, NotFoundError, Problem, StorageError
from scidata.facts import Facts
from scidata.inventory import last_correction, read_correction
from scidata.published import read_facts, read_record
from scidata.record import Record
from scidata.resolve import resolve_any
from scidata.schemas import users_cache
from scidata.storage import StoreLike, open_store
from scidata.storage.base import Store
from scidata.surroundings import Surroundings
from scidata.version import CommitRecord, Reference

Attributes: TypeAlias = dict[str, Any]  # Any: JSON at the edge

MAX_PAGE_BYTES = 2 * 2**20


@dataclass(frozen=True, kw_only=True)
class DoiOptions:
    """How to go about it. What is None is taken from the environment."""

    api: str | None = None
    """``test``, ``production`` or an address; by default ``$DATACITE_API``, else test."""
    prefix: str | None = None
    """Of the repository; by default that of the dataset's DOI, else ``$DATACITE_PREFIX``."""
    base_url: str | None = None
    """Where the landing pages are; by default ``$SCIDATA_BASE_URL``."""
    dry_run: bool = False
    """Look and compare; change nothing, here or there."""
    single_writer: bool = False
    """Use a store that ignores conditional writes; nobody else may write to it meanwhile."""
    check_page: bool = True
    """Ask for the landing page before a DOI that leads there is published."""
    handle_wait_s: float = 30.0
    """Seconds to wait until the DOI resolves."""
    patience: Patience = field(default_factory=Patience)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    surroundings: Surroundings = field(default_factory=Surroundings)


@dataclass(frozen=True, kw_only=True)
class Session:
    """One version, whose DOI is looked at or changed."""

    store: Store
    commit: CommitRecord
    record: Record
    """As it was committed, or corrected since."""
    own: Record
    """As it was committed."""
    corrections: int
    """How often it was corrected."""
    facts: Facts
    api: str
    options: DoiOptions
    ledger: Ledger
    doi: str
    concept: str

    @property
    def is_test(self) -> bool:
        """Whether the DOI will not resolve, and no reader is told of it."""
        return is_test(self.api)

    @property
    def unheeded(self) -> str:
        """What a curator should know of a prefix that is set and was not taken, or nothing."""
        wished, name = self.options.environ.get(PREFIX), self.commit.name
        if self.options.prefix or not wished or self.doi.startswith(f"{wished}/"):
            return ""
        if self.line.reserved is not None:
            return (
                f"{PREFIX} is {wished}, but {name} has the DOI {self.doi} already, and keeps it"
            )
        return (
            f"{PREFIX} is {wished}, but the DOI of {name} begins as that of its dataset, "
            f"{self.concept}: --prefix {wished} gives it another prefix"
        )

    @property
    def line(self) -> Line:
        """The version in the ledger."""
        return self.ledger.of(self.commit.version)

    def registry(self, *, anonymous: bool = False) -> Registry:
        """Return DataCite; without credentials only if that is enough."""
        try:
            known = credentials_of(self.options.environ, self.api, keyring=from_keyring)
        except NotFoundError:
            if not anonymous:
                raise
            known = None
        return Registry(api=self.api, credentials=known, patience=self.options.patience)

    def document(self, ledger: Ledger | None = None, *, url: str | None = None) -> Attributes:
        """Return what DataCite should have of the version's DOI."""
        address = url or self.page(self.commit.version)
        return self._of(self.line, self.record, self.facts, ledger or self.ledger, address)

    def predecessor_document(self, before: Line, ledger: Ledger, url: str) -> Attributes:
        """Return what DataCite should have of the DOI of the version before."""
        record = _held(self.store, before.commit, test=self.is_test)[0]
        facts = read_facts(self.store, before.commit)
        return self._of(before, record, facts, ledger, url)

    def _of(
        self, line: Line, record: Record, facts: Facts, ledger: Ledger, url: str
    ) -> Attributes:
        before = ledger.predecessor(line.commit.version)
        names = Names(
            doi=line.reserved.doi if line.reserved else self.doi,
            concept=self.concept,
            previous=before.reserved.doi if before and before.reserved else None,
            following=ledger.following(line.commit.version),
        )
        return version_document(record, facts, names, url, line.history.status)

    def concept_document(self, ledger: Ledger, *, url: str | None = None) -> Attributes:
        """Return what DataCite should have of the dataset's DOI."""
        lines = [line for line in ledger.lines if line.findable and line.reserved]
        newest = (ledger.offered() or tuple(lines) or (self.line,))[-1].commit
        record, facts = self.record, self.facts
        if newest.version != self.commit.version:
            record = _held(self.store, newest, test=self.is_test)[0]
            facts = read_facts(self.store, newest)
        versions = [line.reserved.doi for line in lines if line.reserved]
        return concept_document(record, facts, self.concept, versions, url or self.page())

    def page(self, version: str | None = None) -> str:
        """Return a landing page; `InvalidError` if nobody says where they are."""
        base = self.options.base_url or self.options.environ.get(BASE_URL)
        if not base:
            raise InvalidError(
                "it is not known where the landing pages are",
                where="--base-url",
                fix=f"give --base-url https://…, or set {BASE_URL}",
            )
        return page_of(base, self.commit.dataset, version)

    def knows_pages(self) -> bool:
        """Tell whether `page` can answer."""
        return bool(self.options.base_url or self.options.environ.get(BASE_URL))

    def verdict(self, *documents: Attributes, offline: bool = False) -> Verdict:
        """Ask the judges about all that would be sent."""
        cache = users_cache(self.options.environ, offline=offline)
        verdicts = [judge(document, cache) for document in documents]
        problems: dict[tuple[str, str], Problem] = {
            (p.path, p.message): p for v in verdicts for p in v.problems
        }
        return Verdict(
            problems=tuple(problems.values()),
            judges=verdicts[0].judges,
            absent=verdicts[0].absent,
        )


def begin(reference: str, store: StoreLike | None, options: DoiOptions) -> Session:
    """Find the version, and which DOI it has or will have; nothing is asked of DataCite.

    Raises
    ------
    InvalidError
        If no version is named, or no prefix is known.
    ScidataError
        As `scidata.resolve.resolve`, and if a note of a DOI is damaged.
    """
    wanted = Reference.parse(reference)
    if wanted.number is None and wanted.digest is None:
        raise InvalidError(
            f"{reference!r} does not say which version is meant",
            where="reference",
            fix=f"name it: {reference}@1.0.0",
        )
    opened = open_store(store)
    commit = resolve_any(reference, opened)
    api = api_address(options.api, options.environ)
    ledger = read_ledger(opened, commit.dataset, test=is_test(api), also=commit)
    doi, concept = _names(ledger, commit, options)
    record, own, corrections = _held(opened, commit, test=is_test(api))
    return Session(
        store=opened,
        commit=commit,
        record=record,
        own=own,
        corrections=corrections,
        facts=read_facts(opened, commit),
        api=api,
        options=options,
        ledger=ledger,
        doi=doi,
        concept=concept,
    )


def _held(store: Store, commit: CommitRecord, *, test: bool) -> tuple[Record, Record, int]:
    """Read the record that holds, the committed one, and how often it was corrected."""
    own = read_record(store, commit)
    last = last_correction(store, commit, test=test)
    found = read_correction(store, commit, own, last, test=test)
    return (found[1] if found else own), own, last


def _names(ledger: Ledger, commit: CommitRecord, options: DoiOptions) -> tuple[str, str]:
    """Return the names that were reserved, else those to reserve."""
    reserved = ledger.of(commit.version).reserved
    if reserved is not None:
        if options.prefix and not reserved.doi.startswith(f"{options.prefix}/"):
            raise ConflictError(
                f"{commit.name} has the DOI {reserved.doi} already, and keeps it",
                where="--prefix",
                fix="leave out --prefix",
            )
        return reserved.doi, ledger.concept or reserved.concept
    known = (ledger.concept or "").partition("/")[0]
    prefix = options.prefix or known or options.environ.get(PREFIX)
    if not prefix:
        raise InvalidError(
            "it is not known with which prefix the DOI begins",
            where="--prefix",
            fix=f"give that of your repository at DataCite: --prefix 10.…, or set {PREFIX}",
        )
    doi, concept = names_for(prefix, commit.dataset, commit.version)
    return doi, ledger.concept or concept


def check_ours(found: Attributes | None, wanted: Attributes, *, api: str) -> None:
    """Refuse to touch a DOI that says to be of something else.

    Raises
    ------
    ConflictError
        If it exists and does not name the same data.
    """
    if found is None:
        return
    kind = DIGEST_TYPE if says(wanted, DIGEST_TYPE) else ID_TYPE
    there, ours = says(found, kind), says(wanted, kind)
    if not ours <= there:
        named = ", ".join(sorted(there)) or "nothing"
        raise ConflictError(
            f"{wanted['doi']} is {seen_state(found)} already, and its {kind} is {named}, "
            f"not {', '.join(sorted(ours))}",
            where=f"{wanted['doi']} at {api}",
            fix="another store published other data under this name and prefix: find out which "
            "was cited, and publish yours as another dataset or version",
        )


def check_page(url: str, doi: str, patience: Patience) -> str:
    """Ask for a landing page; return what a curator should know, or an empty text.

    Raises
    ------
    StorageError
        If it does not answer with 200.
    """
    fix = "upload the page first, or correct --base-url; --no-page-check publishes all the same"
    try:
        with urllib3.PoolManager(retries=3, timeout=patience.answer_s / 3) as pool:
            answer = pool.request("GET", url, preload_content=False)
            body = answer.read(MAX_PAGE_BYTES, decode_content=True)
            answer.release_conn()
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise StorageError(
            f"the landing page does not answer: {shortly(error)}", where=url, fix=fix
        ) from error
    if answer.status != 200:  # noqa: PLR2004 - OK
        raise StorageError(
            f"the landing page answers {answer.status}, not 200", where=url, fix=fix
        )
    if doi.encode() not in body.lower():
        return f"the landing page {url} does not show the DOI {doi}"
    return ""

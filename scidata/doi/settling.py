"""One DOI brought to what is wanted: look, send what differs, look again."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from scidata.doi.client import Registry, seen_state
from scidata.doi.documents import differences, without_empties
from scidata.doi.ledger import Ledger
from scidata.doi.session import Session, check_ours
from scidata.errors import StorageError

Attributes: TypeAlias = dict[str, Any]  # Any: JSON at the edge
Event: TypeAlias = Literal["register", "publish", "hide"]
Subject: TypeAlias = Literal["version", "dataset", "predecessor"]

POLL_S = 2.0
_GOAL: dict[Event, str] = {
    "register": "registered",
    "publish": "findable",
    "hide": "registered",
}


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one DOI needed."""

    subject: Subject
    doi: str
    before: str
    """Its state: absent, draft, registered or findable."""
    after: str
    changes: tuple[str, ...]
    """Attributes that DataCite had otherwise; of a new DOI all."""

    @property
    def is_done(self) -> bool:
        """Whether there is nothing to do."""
        return not self.changes and self.before == self.after


class Work:
    """Changes at DataCite, or what they would be, and what a curator should know of them."""

    def __init__(self, session: Session, registry: Registry) -> None:
        self._session = session
        self._registry = registry
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        """Note what a curator should know, unless it is nothing."""
        if text:
            self.warnings.append(text)

    def settle(
        self,
        subject: Subject,
        wanted: Attributes,
        event: Event | None = None,
        *,
        reason: str | None = None,
        before_event: Callable[[], None] | None = None,
    ) -> Step:
        """Bring one DOI to what is wanted, sending only what is needed."""
        doi, dry_run = wanted["doi"], self._session.options.dry_run
        found = self._registry.get(doi)
        check_ours(found, wanted, api=self._session.api)
        before = seen_state(found)
        changes = differences(wanted, found) if found else tuple(without_empties(wanted))
        goal = _goal(event, before)
        if not dry_run:
            if found is None or changes:
                found = self._registry.put(doi, wanted)
            if event and before != goal:
                if before_event:
                    before_event()
                change = {"event": event, "url": wanted["url"]}
                found = self._registry.put(doi, change | ({"reason": reason} if reason else {}))
            if changes or before != goal:
                self._check(doi, wanted, goal)
        return Step(subject=subject, doi=doi, before=before, after=goal, changes=changes)

    def _check(self, doi: str, wanted: Attributes, goal: str) -> None:
        """Read back: DataCite ignores an event that does not apply, and says 200."""
        found = self._registry.get(doi)
        if seen_state(found) != goal:
            raise StorageError(
                f"{doi} is {seen_state(found)}, not {goal}, although DataCite took the change",
                where=self._session.api,
                fix="run the same command again; if it repeats, ask DataCite's support",
            )
        left = differences(wanted, found or {})
        if left:
            self.warn(
                f"DataCite writes otherwise than it was told, of {doi}: {', '.join(left)}"
            )

    def await_handle(self, doi: str) -> None:
        """Wait until the DOI resolves: that happens after DataCite's answer."""
        patience, left = self._session.options.patience, self._session.options.handle_wait_s
        while True:
            found = self._registry.get(doi)
            if found and found.get("registered"):
                return
            if left <= 0:
                self.warn(f"{doi} is findable, but does not resolve yet; that may take an hour")
                return
            patience.sleep(POLL_S)
            left -= POLL_S

    def around(self, ledger: Ledger) -> Iterator[Step]:
        """Tell the dataset's DOI of all versions, and the version before of this one."""
        session = self._session
        found = None if session.knows_pages() else self._registry.get(session.concept)
        url = page_of_now(session, found, None)
        yield self.settle("dataset", session.concept_document(ledger, url=url), "publish")
        before = ledger.predecessor(session.commit.version)
        if before is None or before.reserved is None:
            return
        # Where its page is, only DataCite knows, if the pages moved since.
        there = self._registry.get(before.reserved.doi)
        if there is None:
            self.warn(f"DataCite does not know {before.reserved.doi} of the version before")
            return
        url = str(there.get("url") or session.page(before.commit.version))
        document = session.predecessor_document(before, ledger, url)
        yield self.settle("predecessor", document)


def _goal(event: Event | None, before: str) -> str:
    """Return the state to reach; what can be found resolves already, and stays findable."""
    if event is None:
        return "draft" if before == "absent" else before
    if event == "register" and before == "findable":
        return before
    return _GOAL[event]


def page_of_now(session: Session, found: Attributes | None, version: str | None) -> str:
    """Return the landing page that was given, else the one that DataCite has."""
    if not session.knows_pages() and found and found.get("url"):
        return str(found["url"])
    return session.page(version)

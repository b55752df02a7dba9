"""Several actors on one store act in an order that a test fixes, operation by operation."""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from scidata.errors import ScidataError

TIMEOUT_S = 60.0


class Turns:
    """Whose turn it is: an actor waits before each operation until it is his.

    A turn of n operations ends when its actor comes to the next one, or is done; so what an
    operation does is done before anybody else's turn begins. Actors must not act in several
    threads at once.

    Parameters
    ----------
    schedule : sequence of (str, int)
        Actors and how many operations each may do; after that, each acts to its end in the
        order of their first turns.
    """

    def __init__(self, schedule: Sequence[tuple[str, int]]) -> None:
        names = tuple(dict.fromkeys(name for name, _ in schedule))
        endless = [(name, -1) for name in names]
        self._left = deque([(name, n) for name, n in schedule if n] + endless)
        self._done: set[str] = set()
        self._changed = threading.Condition()

    def step(self, name: str) -> None:
        """Wait until an actor may do one more operation."""
        with self._changed:
            if self._left and self._left[0] == (name, 0):
                self._left.popleft()
                self._changed.notify_all()
            self._pass()
            if not self._changed.wait_for(lambda: self._is_next(name), TIMEOUT_S):
                raise TimeoutError(f"{name} waits for its turn: {list(self._left)}")
            count = self._left[0][1]
            if count > 0:
                self._left[0] = (name, count - 1)

    def end(self, name: str) -> None:
        """Say that an actor is done: its turns are left out."""
        with self._changed:
            self._done.add(name)
            self._pass()
            self._changed.notify_all()

    def _is_next(self, name: str) -> bool:
        self._pass()
        return bool(self._left) and self._left[0][0] == name and self._left[0][1] != 0

    def _pass(self) -> None:
        while self._left and self._left[0][0] in self._done:
            self._left.popleft()


def in_turns(
    actors: Mapping[str, Callable[[Callable[[], None]], object]],
    schedule: Sequence[tuple[str, int]],
) -> dict[str, ScidataError | None]:
    """Let actors act in turns.

    Parameters
    ----------
    actors : mapping of str to callable
        Each is called in a thread of its own with what it must call before each operation.
    schedule : sequence of (str, int)
        As in `Turns`.

    Returns
    -------
    dict of str to ScidataError or None
        How each ended. Other errors are raised.
    """
    turns = Turns(schedule)
    ended: dict[str, ScidataError | None] = {}
    faults: list[BaseException] = []

    def act(name: str, actor: Callable[[Callable[[], None]], object]) -> None:
        try:
            actor(lambda: turns.step(name))
            ended[name] = None
        except ScidataError as error:
            ended[name] = error
        except BaseException as error:  # noqa: BLE001  # raised again in the caller's thread
            faults.append(error)
        finally:
            turns.end(name)

    threads = [threading.Thread(target=act, args=pair, name=pair[0]) for pair in actors.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    return ended

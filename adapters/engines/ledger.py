"""Who is at which shard: what is handed out next, what comes back from the dead, and what takes too long."""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

__all__ = ["Ledger"]

_LATE = 4.0  # times the median that a shard may take before somebody else is set to it as well
_LEAST_LATE = 2.0  # seconds; below that, starting again is not worth it
_REMEMBERED = 200  # how many durations the median is taken of


@dataclass
class _Group:
    """Shards that were given together, less those with a receipt."""

    shards: list[int]
    size: int


@dataclass
class _Hand:
    """What one worker holds; it began to open, or with its first group, at ``since``."""

    since: float
    is_open: bool = False
    groups: deque[_Group] = field(default_factory=deque)

    @property
    def shards(self) -> list[int]:
        return [shard for group in self.groups for shard in group.shards]


class Ledger:
    """The shards of one run, and the workers that hold them.

    Parameters
    ----------
    shards : sequence of int
        What is to be done, in this order.
    group : int
        How many a worker gets at once, at most.
    n_workers : int
        Among how many the shards are shared out.
    clock : callable
        Returns seconds.
    """

    def __init__(
        self, shards: Sequence[int], group: int, n_workers: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._waiting = deque(dict.fromkeys(shards))
        self._left = set(self._waiting)
        self._group, self._n_workers, self._clock = max(1, group), n_workers, clock
        self._hands: dict[Hashable, _Hand] = {}
        self._suspects: set[int] = set()
        self._deaths: Counter[int] = Counter()
        self._openings: deque[float] = deque(maxlen=_REMEMBERED)
        self._durations: deque[float] = deque(maxlen=_REMEMBERED)

    @property
    def n_left(self) -> int:
        """How many shards have no receipt."""
        return len(self._left)

    @property
    def n_wanted(self) -> int:
        """How many more workers there is something to do for: shards that nobody has, less workers that have none."""
        return len(self._waiting) - sum(not hand.groups for hand in self._hands.values())

    def is_open(self, worker: Hashable) -> bool:
        """Return whether a worker has begun to work."""
        return self._hands[worker].is_open

    def is_idle(self, worker: Hashable) -> bool:
        """Return whether a worker has done all that it was given."""
        return not self._hands[worker].groups

    def join(self, worker: Hashable) -> None:
        """Take up a worker that was started."""
        self._hands[worker] = _Hand(self._clock())

    def opened(self, worker: Hashable) -> None:
        """Take notice that a worker begins to work."""
        hand, now = self._hands[worker], self._clock()
        self._openings.append(now - hand.since)
        hand.is_open, hand.since = True, now

    def next_for(self, worker: Hashable) -> list[int]:
        """Return the next group for a worker, which holds it from now on; nothing if it has enough."""
        hand = self._hands[worker]
        group = self._from_waiting(hand) or ([] if hand.groups else self._from_late(hand))
        if group:
            if hand.is_open and not hand.groups:
                hand.since = self._clock()
            hand.groups.append(_Group(list(group), len(group)))
        return group

    def done(self, worker: Hashable, shard: int, *, is_failure: bool = False) -> bool:
        """Take up a receipt; return whether it is the first of this shard.

        A failure does not count while another worker is at the same shard, which may have better luck.
        """
        hand, now = self._hands[worker], self._clock()
        if shard not in hand.shards:
            return self.settle(shard)
        for group in hand.groups:
            if shard in group.shards:
                group.shards.remove(shard)
        while hand.groups and not hand.groups[0].shards:
            # By groups: receipts of a whole group may come at once, when all of it is on the disk.
            group = hand.groups.popleft()
            if hand.is_open:
                self._durations.append((now - hand.since) / group.size)
            hand.since = now
        if shard not in self._left or (is_failure and any(shard in other.shards for other in self._hands.values())):
            return False
        self._left.remove(shard)  # what somebody holds does not wait
        return True

    def settle(self, shard: int) -> bool:
        """Take a shard off the list; return whether it was on it."""
        if shard not in self._left:
            return False
        self._left.remove(shard)
        if shard in self._waiting:
            self._waiting.remove(shard)
        return True

    def at_hand(self, worker: Hashable) -> list[int]:
        """Return the shards that a worker holds and that have no receipt; it is at the first."""
        return [shard for shard in self._hands[worker].shards if shard in self._left]

    def died(self, worker: Hashable) -> tuple[int | None, int]:
        """Take back what a worker held.

        What it was given together waits one by one from now on, so that at the next death it is known which it was.

        Returns
        -------
        tuple of (int or None, int)
            The shard that it was at, if any, and how many workers have died so far with it first in hand.
        """
        held, hand = self.at_hand(worker), self._hands.pop(worker)
        elsewhere = {shard for other in self._hands.values() for shard in other.shards}
        self._waiting.extendleft(shard for shard in reversed(held) if shard not in elsewhere)
        if not hand.is_open or not held:
            return None, 0
        first = held[0]
        self._suspects.update(shard for shard in hand.groups[0].shards if shard in self._left)
        self._deaths[first] += 1
        return first, self._deaths[first]

    def _from_waiting(self, hand: _Hand) -> list[int]:
        if not self._waiting:
            return []
        # Towards the end nothing is given ahead: somebody else may be free sooner.
        is_spare = self._n_workers == 1 or len(self._waiting) > self._group * self._n_workers
        if hand.groups and (len(hand.groups) > 1 or not is_spare or self._suspects.intersection(hand.shards)):
            return []
        if self._waiting[0] in self._suspects:
            return [] if hand.groups else [self._waiting.popleft()]
        # Groups get smaller towards the end, so that all workers end at about the same time.
        size = min(self._group, math.ceil(len(self._waiting) / (2 * self._n_workers)))
        group = [self._waiting.popleft()]
        while len(group) < size and self._waiting[0] not in self._suspects:
            group.append(self._waiting.popleft())
        return group

    def _from_late(self, idle: _Hand) -> list[int]:
        """Return a shard of a worker that is slow: what it has not begun comes first, and nothing goes to a third."""
        now = self._clock()
        holders = Counter(shard for hand in self._hands.values() for shard in hand.shards)
        for hand in self._hands.values():
            if hand is idle or not hand.groups or now - hand.since < self._allowed(hand):
                continue
            for shard in reversed(hand.shards):
                if shard in self._left and holders[shard] == 1:
                    return [shard]
        return []

    def _allowed(self, hand: _Hand) -> float:
        """Return how many seconds a worker has for what it is at."""
        known = self._durations if hand.is_open else self._openings
        if not known:
            return math.inf
        return max(_LEAST_LATE, _LATE * statistics.median(known) * (hand.groups[0].size if hand.is_open else 1))

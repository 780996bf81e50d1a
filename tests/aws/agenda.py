"""What happens by itself: each thing at its time, once the clock has passed it and somebody looks. And how long things take.

Nothing runs in the background: every request settles what is due first, in the order of time, so that a clock moved forward by an
hour gives what an hour would have given.
"""

import heapq
import itertools

from health import clock

# Seconds. AWS takes longer; zero makes a state pass before anybody can see it.
DEFAULT_PACE = {
    # An instance is `pending`, and `shutting-down`.
    "pending": 0.5,
    "shutdown": 0.5,
    # An instance of a group is in `Pending`, `Pending:Proceed`, `Terminating`, `Terminating:Proceed`.
    "transition": 0.2,
    # From the wait's being visible to its action's being accepted.
    "accept_after": 0.0,
    # A volume is `creating`, `attaching`, `detaching`.
    "volume": 0.2,
    # The snapshots of one CreateSnapshots are `pending`; a copy, once it is its turn; the snapshot of CreateSnapshot, which most
    # tests only need as a source.
    "snapshot": 0.5,
    "copy": 0.5,
    "single_snapshot": 0.0,
    # From SendCommand to the script's start, and to GetCommandInvocation's knowing of it.
    "command_delay": 0.0,
    "command_unknown": 0.2,
}


class Agenda:
    def __init__(self):
        self.reset()

    def reset(self):
        self._waiting = []
        self._order = itertools.count()
        self._now = None
        self.pace = dict(DEFAULT_PACE)

    def now(self):
        """The time at which the thing that is happening was due; otherwise the clock's."""
        return clock.now() if self._now is None else self._now

    def at(self, when, happen):
        heapq.heappush(self._waiting, (when, next(self._order), happen))

    def after(self, seconds, happen):
        self.at(self.now() + seconds, happen)

    def soon(self, kind, happen):
        """After as long as this kind of thing takes."""
        self.after(self.pace[kind], happen)

    def settle(self):
        while self._waiting and self._waiting[0][0] <= clock.now():
            self._now, _, happen = heapq.heappop(self._waiting)
            try:
                happen()
            finally:
                self._now = None

    def change_pace(self, given):
        unknown = set(given) - set(DEFAULT_PACE)
        if unknown:
            raise ValueError(f"unknown: {sorted(unknown)}; known: {sorted(DEFAULT_PACE)}")
        self.pace.update({name: float(seconds) for name, seconds in given.items()})


agenda = Agenda()

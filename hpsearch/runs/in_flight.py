"""How many trials a search has in flight."""

from dataclasses import dataclass, field

from hpsearch.runs.call_times import CallTimes
from hpsearch.searchers.base import UNLIMITED


@dataclass(slots=True)
class InFlight:
    """Says how many more trials to ask for.

    A method to which the number does not matter keeps all workers supplied. One that learns from
    each trial is asked for a batch when a worker has nothing to do: whoever is asked earlier knows
    less, and would wait all the same. So with one worker a batch is asked for when all before have
    ended, and what it is asked depends on the journal alone, not on which trial ended first.

    Args:
        harmless: how many the method may have in flight without finding less.
        together: trials of a batch for each worker, where the user wants so many; None: as many as
            are soonest, by `times`.
        times: what calls took, as the search's state has it.
        asked_of_batch: of a run that continues, how many trials of the batch had been asked for
            that the earlier run was asking for when it ended; None where it was not asking.
    """

    harmless: int = UNLIMITED
    together: int | None = None
    times: CallTimes = field(default_factory=CallTimes)
    asked_of_batch: int | None = 0

    def count_new(self, running: int, workers: int, most: int) -> int:
        """How many trials to ask for now.

        Args:
            running: trials that have been submitted and have not ended.
            workers: that train them.
            most: trials that a worker can train side by side.
        """
        if self.harmless >= workers * most:
            return workers * most - running
        batch = self.together or max(self.harmless // workers, self.times.choose_together(most))
        batch = min(batch, most)
        room = workers * batch - running
        asked, self.asked_of_batch = self.asked_of_batch, 0
        if asked is None:  # the batch of the run before was complete: first its trials end
            return 0
        if asked:  # the rest of that batch
            return max(0, min(batch - asked, room))
        return room if room >= batch else 0

"""When the daemon collects garbage. A command collects none; both a load and pyroute2 leave cycles."""

from __future__ import annotations

import gc

LITTER = 1_000  # objects made and not freed by a reconcile, from which on it is worth a collection (5 ms)


class Garbage:
    """What a spec became is frozen, or it would be searched each time: for a second, with 100,000 forwards.

    It is frozen after a collection, because frozen garbage is never collected. What replaced specs leave among the
    frozen objects is collected now and then.
    """

    def __init__(self) -> None:
        self._replaced = False  # a spec was, since the last whole collection: parts of it may be frozen garbage

    def collect(self, *, loaded: bool, whole: bool) -> None:
        """After a reconcile. `loaded`: a spec was loaded in it; `whole`: there is time to search everything."""
        thaw = whole and self._replaced
        if thaw:
            gc.unfreeze()
        if loaded or whole or gc.get_count()[0] > LITTER:
            gc.collect()
        if loaded or thaw:
            gc.freeze()
        self._replaced = loaded or (self._replaced and not thaw)

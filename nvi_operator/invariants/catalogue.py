"""The invariants, in the order in which they are told. A new one is a line in INVARIANTS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from nvi_operator.dataclass import dataclass
from nvi_operator.invariants.claims import claimed_twice
from nvi_operator.invariants.dead import dead_entries
from nvi_operator.invariants.gateway import ResolvedGateway
from nvi_operator.invariants.result import InvariantResult, Severity, Unknown, Violation


@dataclass(frozen=True)
class Invariant:
    """What has to hold of every gateway. `name` never changes its meaning; `what` is a sentence.

    `check` None: it is one of walks.
    """

    name: str
    what: str
    severity: Severity
    check: Callable[[ResolvedGateway], Iterator[Violation | Unknown]] | None = None

    def result(self, found: Iterable[Violation | Unknown] = ()) -> InvariantResult:
        distinct = tuple(dict.fromkeys(found))
        findings = tuple(each for each in distinct if isinstance(each, Violation))
        unknown = tuple(each for each in distinct if isinstance(each, Unknown))
        return InvariantResult(self.name, self.what, self.severity, findings, unknown)


UNTRANSLATED = Invariant("no-untranslated-source", "no inside source leaves an uplink untranslated", "error")
OWN_UPLINK = Invariant("no-foreign-source", "a source leaves by its uplink, unless a route names it", "warning")
ARRIVE = Invariant(
    "forwards-arrive", "every forward reaches its server, and answers return by the uplink of its address", "error"
)
LOOP = Invariant("no-loop", "no packet comes to the device twice", "error")
INVARIANTS = (
    Invariant("no-dead-entry", "every entry has an effect", "warning", dead_entries),
    Invariant("no-shared-claim", "what an entry gives to one source no other gives away", "error", claimed_twice),
    UNTRANSLATED,
    OWN_UPLINK,
    ARRIVE,
    LOOP,
)

"""A spec as it is on every host that it names: what CI asks before a change is merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import Position, SpecError, SpecProblem, SpecProblems
from nvi_operator.language.layers.layers import hosts_of
from nvi_operator.language.layers.presence import has_layers
from nvi_operator.language.load.files import ReadEntries, SpecFiles
from nvi_operator.language.load.loader import LoadedSpec, load_gateways, load_texts
from nvi_operator.language.wording import listed


@dataclass(frozen=True)
class OnHost:
    """`host` is None for a gateway that is on whatever host."""

    host: str | None
    loaded: LoadedSpec

    @property
    def where(self) -> str:
        """The place, for people."""
        return f"host {self.host}" if self.host else f"any host of {self.loaded.name}"


def load_every_host(path: Path | str, *, gateway: str | None = None) -> list[OnHost]:
    """The gateways in `path` on each host with a document or in a `spec.host`; and those that are on none of them.

    Raises SpecError with every problem on any of them, told once; where it is not on all, with the hosts.
    """
    files = SpecFiles(path)
    texts = files.read_specs()
    hosts, gateways = hosts_of(texts)
    found: list[OnHost] = []
    wrong: dict[SpecProblem, list[str]] = {}
    counted = SpecProblems()

    def load(host: str | None, name: str | None) -> None:
        again = SpecFiles(path)  # a load has a limit of bytes
        try:
            loaded = load_texts(texts, hostname=host, gateway=name, root=str(path), entries=again.read_entries)
            found.append(OnHost(host, loaded))
        except SpecError as error:
            counted.more += error.more
            counted.complete = counted.complete and error.complete
            for problem in error.problems:
                wrong.setdefault(problem, []).append(host or "any host")

    for host in hosts:
        load(host, gateway)
    if not wrong:
        covered = {each.loaded.name for each in found}
        for name in [name for name in gateways if name not in covered and gateway in (None, name)]:
            load(None, name)
    if not found and not wrong:
        load(None, gateway)  # tells why
    if wrong:
        tried = len(hosts) if hosts else 1
        counted[:] = [
            problem if len(on) == tried else replace(problem, message=f"{problem.message}; on {listed(on)}")
            for problem, on in sorted(wrong.items(), key=lambda item: _order(item[0]))
        ]
        raise SpecError(counted)
    return found


def on_every_host(found: Sequence[OnHost]) -> list[SpecProblem]:
    """The notes that all hosts of a gateway have: what one of them uses has an effect."""
    notes: dict[SpecProblem, set[str | None]] = {}
    hosts: dict[str, set[str | None]] = {}
    for each in found:
        hosts.setdefault(each.loaded.name, set()).add(each.host)
        for note in each.loaded.notes:
            notes.setdefault(note, set()).add(each.host)
    return [note for note, on in notes.items() if on in hosts.values()]


def load_each(texts: Mapping[str, bytes], *, root: str, entries: ReadEntries) -> dict[str, LoadedSpec | SpecError]:
    """Every gateway in some texts by its name, or what is wrong with it as a whole; where they differ by host, by the
    name and the host.

    Raises SpecError for what is wrong by itself: it may be any one's.
    """
    if not has_layers(texts):
        return load_gateways(texts, root=root, entries=entries)
    hosts, gateways = hosts_of(texts)
    found: dict[str, LoadedSpec | SpecError] = {}
    targets: list[tuple[str | None, str]] = [
        (host, gateway) for host, gateway in hosts.items() if gateway is not None
    ]
    targets += [(None, gateway) for gateway in gateways if gateway not in hosts.values()]
    for host, gateway in targets:
        try:
            loaded: LoadedSpec | SpecError = load_texts(
                texts, hostname=host, gateway=gateway, root=root, entries=entries
            )
        except SpecError as error:
            loaded = error
        found[gateway if host is None else f"{gateway} on {host}"] = loaded
    return found or load_gateways(texts, root=root, entries=entries)


def _order(problem: SpecProblem) -> tuple[Position, str]:
    return problem.position, problem.path

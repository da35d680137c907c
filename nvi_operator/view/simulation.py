"""What became of the packets that tried a gateway, as text like the results of tests, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nvi_operator.experiment.judge import ProbeResult
from nvi_operator.experiment.outcome import Tried
from nvi_operator.experiment.probe import Sampled
from nvi_operator.explain.words import packet_words
from nvi_operator.language.wording import counted
from nvi_operator.view.junit import Case
from nvi_operator.view.segment import Piece, Segment, line
from nvi_operator.view.table import labelled

_ROWS = 12  # entries of one section that are shown, unless all are asked for


def tried_json(tried: Tried) -> dict[str, Any]:
    return {
        "gateway": tried.gateway,
        "dataplane": tried.dataplane,
        "passed": len(tried.results) - len(tried.failed),
        "failed": len(tried.failed),
        "assumed": list(tried.assumed),
        "notes": list(tried.notes),
        "sampled": [
            {"section": s.law, "tried": s.tried, "total": s.total, "leftOut": dict(s.left_out)} for s in tried.sampled
        ],
        "results": [_result_json(result) for result in tried.results],
    }


def _result_json(result: ProbeResult) -> dict[str, Any]:
    probe = result.probe
    return {
        "section": probe.law,
        "entry": probe.entry,
        "what": probe.what,
        "packet": sent(result),
        "passed": result.passed,
        "seen": result.way,
        "problems": list(result.problems),
    }


def tried_text(tried: Tried, width: int | None, *, full: bool) -> Iterator[Piece]:
    """`full`: every packet, and what became of it."""
    yield line(f"gateway {tried.gateway}, dataplane {tried.dataplane}, in namespaces of its own")
    for assumed in tried.assumed:
        yield from labelled(line("  assumed: ", "dim"), assumed, width, "dim")
    for note in tried.notes:
        yield from labelled(line("  note: ", "dim"), note, width, "dim")
    for each in tried.sampled:
        yield from _left_out(each, width)
    sampled = {each.law: each for each in tried.sampled}
    for law in dict.fromkeys(result.probe.law for result in tried.results):
        of_law = [result for result in tried.results if result.probe.law == law]
        yield line("")
        yield line(f"{law}{_share(sampled.get(law))}", "bold")
        yield from _packets(of_law) if full else _entries(of_law)
    yield line("")
    if left_out := sum(len(each.left_out) for each in tried.sampled):
        yield line(f"not tried: {left_out}, named at the beginning", "yellow")
    yield line(_verdict(tried), "bold red" if tried.failed else "bold green")


def _left_out(sampled: Sampled, width: int | None) -> Iterator[Piece]:
    for name, why in sampled.left_out[:_ROWS]:
        yield from labelled(line("  not tried: ", "yellow"), f"{sampled.law} {name}: {why}", width, "yellow")
    if more := sampled.left_out[_ROWS:]:
        yield line(f"  not tried: {sampled.law}: {len(more)} more", "yellow")


def _share(sampled: Sampled | None) -> str:
    return f" ({sampled.tried} of {sampled.total})" if sampled and sampled.tried < sampled.total else ""


def _entries(results: list[ProbeResult]) -> Iterator[Piece]:
    """One line for each entry, and each problem; of many the first, and those with problems."""
    entries: dict[str, list[ProbeResult]] = {}
    for result in results:
        entries.setdefault(result.probe.entry, []).append(result)
    shown = 0
    for name, found in entries.items():
        failed = [result for result in found if not result.passed]
        shown += not failed
        if failed or shown <= _ROWS:
            yield (_word(not failed), Segment(f"  {name}  {counted(len(found), 'packet')}"))
        for result in failed:
            yield from _problems(result)
    if shown > _ROWS:
        yield (_word(True), Segment(f"  {shown - _ROWS} more"))


def _word(passed: bool) -> Segment:
    return Segment("  passed", "green") if passed else Segment("  FAILED", "red")


def tried_cases(tried: Tried) -> Iterator[Case]:
    """The results as test cases: one for each packet, and one for each entry that was not tried."""
    sections = dict.fromkeys(result.probe.law for result in tried.results)
    for law in dict.fromkeys([*sections, *(each.law for each in tried.sampled)]):
        for result in tried.results:
            if result.probe.law == law:
                name = f"{law}: {result.probe.entry}: {sent(result)}"
                yield Case(name, failures=result.problems, notes=(result.way,))
        for each in tried.sampled:
            for name, why in each.left_out if each.law == law else ():
                yield Case(f"{law}: {name}", skipped=why)


def _packets(results: list[ProbeResult]) -> Iterator[Piece]:
    for result in results:
        yield (_word(result.passed), Segment(f"  {result.probe.entry}: {sent(result)}: {result.way}"))
        yield from _problems(result, sent_too=False)


def _problems(result: ProbeResult, *, sent_too: bool = True) -> Iterator[Piece]:
    where = f"{sent(result)}: " if sent_too else ""
    for problem in result.problems:
        yield line(f"          {where}{problem}")


def sent(result: ProbeResult) -> str:
    """The packet, as `nvictl explain` takes it."""
    packet = result.probe.packet
    return f"-i {packet.in_interface} {packet_words(packet)}" if packet.in_interface else packet_words(packet)


def _verdict(tried: Tried) -> str:
    failed, total = len(tried.failed), len(tried.results)
    if not total:
        return "no packets: the spec has nothing that could be tried"
    return f"{failed} of {counted(total, 'packet')} failed" if failed else f"{counted(total, 'packet')}: all passed"

"""What became of the packets that tried a gateway, as text like the results of tests, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.text import Text

from nvi_operator.experiment.judge import ProbeResult
from nvi_operator.experiment.outcome import Tried
from nvi_operator.experiment.probe import Sampled
from nvi_operator.explain.words import packet_words
from nvi_operator.language.wording import counted
from nvi_operator.view.junit import Case

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


def tried_text(tried: Tried, *, full: bool = False) -> Text:
    """`full`: every packet, and what became of it."""
    text = Text()
    text.append(f"gateway {tried.gateway}, dataplane {tried.dataplane}, in namespaces of its own\n")
    for assumed in tried.assumed:
        text.append(f"  assumed: {assumed}\n", style="dim")
    for note in tried.notes:
        text.append(f"  note: {note}\n", style="dim")
    sampled = {each.law: each for each in tried.sampled}
    for law in dict.fromkeys(result.probe.law for result in tried.results):
        of_law = [result for result in tried.results if result.probe.law == law]
        text.append(f"\n{law}{_share(sampled.get(law))}\n", style="bold")
        text.append_text(_packets(of_law) if full else _entries(of_law))
    for each in tried.sampled:
        for name, why in each.left_out[:_ROWS]:
            text.append(f"\nnot tried: {each.law} {name}: {why}", style="yellow")
        if more := each.left_out[_ROWS:]:
            text.append(f"\nnot tried: {each.law}: {len(more)} more", style="yellow")
    text.append("\n" + _verdict(tried), style="bold red" if tried.failed else "bold green")
    return text


def _share(sampled: Sampled | None) -> str:
    return f" ({sampled.tried} of {sampled.total})" if sampled and sampled.tried < sampled.total else ""


def _entries(results: list[ProbeResult]) -> Text:
    """One line for each entry, and each problem; of many the first, and those with problems."""
    text = Text()
    entries: dict[str, list[ProbeResult]] = {}
    for result in results:
        entries.setdefault(result.probe.entry, []).append(result)
    shown = 0
    for name, found in entries.items():
        failed = [result for result in found if not result.passed]
        shown += not failed
        if failed or shown <= _ROWS:
            style, word = ("red", "FAILED") if failed else ("green", "passed")
            text.append(f"  {word}", style=style)
            text.append(f"  {name}  {counted(len(found), 'packet')}\n")
        for result in failed:
            text.append_text(_problems(result))
    if shown > _ROWS:
        text.append("  passed", style="green").append(f"  {shown - _ROWS} more\n")
    return text


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


def _packets(results: list[ProbeResult]) -> Text:
    text = Text()
    for result in results:
        text.append("  passed" if result.passed else "  FAILED", style="green" if result.passed else "red")
        text.append(f"  {result.probe.entry}: {sent(result)}: {result.way}\n")
        text.append_text(_problems(result, sent_too=False))
    return text


def _problems(result: ProbeResult, *, sent_too: bool = True) -> Text:
    text = Text()
    for problem in result.problems:
        where = f"{sent(result)}: " if sent_too else ""
        text.append(f"          {where}{problem}\n")
    return text


def sent(result: ProbeResult) -> str:
    """The packet, as `nvictl explain` takes it."""
    packet = result.probe.packet
    return f"-i {packet.in_interface} {packet_words(packet)}" if packet.in_interface else packet_words(packet)


def _verdict(tried: Tried) -> str:
    failed, total = len(tried.failed), len(tried.results)
    if not total:
        return "no packets: the spec has nothing that could be tried"
    return f"{failed} of {counted(total, 'packet')} failed" if failed else f"{counted(total, 'packet')}: all passed"

"""Revisions for people: a table, and one in detail; and as JSON for programs (docs/how-to/rollback.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from nvi_operator.events.moment import iso
from nvi_operator.history.revision import Revision
from nvi_operator.view.segment import Piece, line
from nvi_operator.view.table import TextTable, labelled, signed

_HEADING = ("rev", "time", "gateway", "by", "result", "steps", "took", "commit", "remark")
_LONGEST = 60  # characters of an error in the table


def history_table(revisions: Sequence[Revision], width: int | None) -> Iterator[Piece]:
    """The oldest first, so that the newest is above the prompt."""
    if not revisions:
        yield line("No revisions. An apply makes the first.")
        return
    table = TextTable("revisions", _HEADING, frozenset({0, 5, 6}))
    for each in reversed(revisions):
        table.rows.append(
            (
                str(each.number),
                f"{_moment(each):%Y-%m-%d %H:%M:%S}",
                each.gateway or "-",
                each.action,
                ", ".join(filter(None, (each.result.value, each.standing.value))),
                str(each.steps),
                f"{each.seconds * 1000:.0f} ms",
                _abbreviated(each.origin.commit) if each.origin else "",
                _remark(each)[:_LONGEST],
            )
        )
    yield from table.drawn(width)


def _abbreviated(commit: str) -> str:
    """With the `+` of a directory that differed from it."""
    return commit[:7] + ("+" if commit.endswith("+") else "")


def _remark(revision: Revision) -> str:
    if revision.of is not None:
        return f"repeats revision {revision.of}"
    return revision.error.partition("\n")[0] or ("" if revision.files else "no gateway")


def revision_text(revision: Revision, width: int | None) -> Iterator[Piece]:
    asked, origin = revision.asked, revision.origin
    session = "" if asked.session is None else f", session {asked.session}"
    rows = [
        ("gateway", revision.gateway),
        ("time", f"{_moment(revision):%Y-%m-%d %H:%M:%S %z}"),
        ("result", f"{revision.result.value} in {revision.seconds * 1000:.0f} ms"),
        ("standing", revision.standing.value + (f", by {revision.confirmed_by}" if revision.confirmed_by else "")),
        ("repeats", "" if revision.of is None else f"revision {revision.of}"),
        ("asked by", f"user {asked.uid}, process {asked.pid}{session}: {asked.command}"),
        ("reasons", ", ".join(revision.reasons)),
        ("commit", origin.commit if origin else ""),
        ("author", origin.author if origin else ""),
        ("signed by", origin.signer if origin else ""),
        ("from", f"{origin.remote} {origin.ref}".strip() if origin else ""),
        ("files", ", ".join(revision.files) or "none: the gateway was removed"),
        ("failed check", revision.check),
    ]
    yield line(f"revision {revision.number}", "bold")
    for name, value in rows:
        if value:
            yield from labelled(line(f"{name + ':':<14}"), value, width)
    yield line("")
    for text in f"{revision.plan}\n{revision.error}".splitlines():
        if text:
            yield from signed(text, width)


def revision_json(revision: Revision, files: Mapping[str, bytes] | None = None) -> dict[str, Any]:
    """Stable for programs. `files` are their contents."""
    data: dict[str, Any] = {
        "revision": revision.number,
        "time": iso(revision.time),
        "gateway": revision.gateway or None,
        "action": revision.action,
        "result": revision.result.value,
        "standing": revision.standing.value or None,
        "error": revision.error or None,
        "failedCheck": revision.check or None,
        "reasons": list(revision.reasons),
        "steps": revision.steps,
        "seconds": round(revision.seconds, 6),
        "repeats": revision.of,
        "confirmedBy": revision.confirmed_by or None,
        "askedBy": asdict(revision.asked),
        "origin": asdict(revision.origin) if revision.origin else None,
        "files": list(revision.files),
    }
    if files is not None:
        data["plan"] = revision.plan.splitlines()
        data["contents"] = {name: text.decode(errors="replace") for name, text in files.items()}
    return data


def _moment(revision: Revision) -> datetime:
    return datetime.fromtimestamp(revision.time).astimezone()

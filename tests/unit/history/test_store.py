"""What was tried is kept, bounded, and read back byte for byte; damage is named and never an obstacle."""

from __future__ import annotations

import os
import random
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from nvi_operator.history import contents
from nvi_operator.history.revision import Content, Origin, Requester, Revision, RevisionResult, Standing
from nvi_operator.history.store import NAME, History, HistoryError
from nvi_operator.rollout.trial import last_confirmed

TRIED = Revision(
    0,
    1_700_000_000.5,
    "edge",
    "apply",
    Requester(1000, 42, 7, "nvictl apply /etc/nvi"),
    RevisionResult.APPLIED,
    Standing.CONFIRMED,
    reasons=("command",),
    plan="+ forward web",
    steps=3,
    seconds=0.25,
    origin=Origin("c0ffee", "Ada <ada@example.net>", "ada", "ssh://git/edge", "main"),
)


def edge(text: bytes, **more: bytes) -> Content:
    return Content("edge", {"gateway.yaml": text, **more})


def forwards(count: int) -> list[bytes]:
    return [b"    web-%d: { public: 203.0.113.1:%d, to: 10.0.0.1:80 }\n" % (n, n) for n in range(count)]


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "state")


def test_a_revision_is_read_as_it_was_recorded(history: History) -> None:
    made = history.add(TRIED, edge(b"spec"))
    assert made == replace(TRIED, number=1, files=("gateway.yaml",))
    assert history.revision(1) == history.newest(Standing.CONFIRMED) == made
    assert history.content(1) == edge(b"spec")
    failed = replace(made, result=RevisionResult.REVERTED, standing=Standing.NONE, error="refused")
    history.change(failed)
    assert history.revision(1) == failed
    assert history.revisions() == [replace(failed, plan="")]
    assert history.newest() is None


def test_an_empty_place_has_no_history_and_reading_makes_none(history: History) -> None:
    assert (history.revisions(), history.newest(), history.verify()) == ([], None, [])
    with pytest.raises(HistoryError, match="there is no revision 1"):
        history.content(1)
    assert not history.path.exists()


def test_edits_of_a_large_spec_are_kept_as_differences_and_read_back(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "MOST_DELTAS", 5)
    draw, lines, versions = random.Random(17), forwards(2500), []
    for number in range(30):
        place = draw.randrange(len(lines))
        lines[place] = draw.choice(
            [b"", lines[place] + b"    new-%d: { }\n" % number, lines[place].replace(b"80", b"81")]
        )
        versions.append(b"".join(lines))
        if number % 7 == 3:
            history.close()  # another process goes on
        history.add(TRIED, edge(versions[-1], **{"small.csv": b"name,to\n"}))
    assert [history.content(number + 1).files["gateway.yaml"] for number in range(30)] == versions
    assert history.verify() == []
    rows = sqlite3.connect(history.path).execute("SELECT base IS NULL, length(data) FROM content").fetchall()
    assert sum(is_whole for is_whole, _ in rows) == 1 + 5  # the small file; and each sixth version
    assert max(size for is_whole, size in rows if not is_whole) < 300


def test_the_oldest_are_dropped_but_for_the_one_to_return_to(tmp_path: Path) -> None:
    history = History(tmp_path, most=5)
    history.add(TRIED, edge(b"confirmed"))
    lines = forwards(2500)
    for number in range(12):
        lines[number] = b"\n"
        history.add(replace(TRIED, standing=Standing.NONE, result=RevisionResult.REVERTED), edge(b"".join(lines)))
    assert [each.number for each in history.revisions()] == [13, 12, 11, 10, 1]
    assert history.content(1) == edge(b"confirmed")
    assert history.content(10).files  # though what it is a difference from was dropped
    assert history.verify() == []


def test_the_file_stays_bounded(tmp_path: Path) -> None:
    history = History(tmp_path, most_bytes=1 << 20)
    for _ in range(60):
        history.add(TRIED, edge(os.urandom(60_000)))
    history.close()
    assert history.path.stat().st_size < 2 << 20
    assert len(history.revisions()) > 8


@pytest.mark.parametrize("damage", ["rubbish", "torn", "empty"])
def test_a_damaged_store_is_set_aside_and_named_and_a_new_one_begun(history: History, damage: str) -> None:
    for number in range(40):
        history.add(TRIED, edge(b"spec %d" % number * 500))
    history.close()
    data = history.path.read_bytes()
    torn = b"".join((data[:4096], b"\xa5" * (len(data) - 4096)))
    history.path.write_bytes({"rubbish": b"rubbish" * 999, "torn": torn, "empty": b""}[damage])
    made = history.add(TRIED, edge(b"after"))
    assert history.content(made.number) == edge(b"after")
    aside = [path for path in history.path.parent.iterdir() if ".damaged-" in path.name]
    if damage == "empty":
        assert (made.number, aside, history.take_warnings()) == (1, [], ())
    else:
        (warning,) = history.take_warnings()
        assert "was damaged" in warning
        assert str(aside[0]) in warning
    assert history.take_warnings() == ()


def test_a_changed_byte_is_found_and_named(history: History) -> None:
    history.add(TRIED, edge(b"to: 10.0.0.1"))
    history.add(TRIED, edge(b"to: 10.0.0.2"))
    history.close()
    db = sqlite3.connect(history.path)
    db.execute("UPDATE content SET data = replace(data, '10.0.0.1', '10.0.0.9')")
    db.commit()
    assert history.verify() == ["history: revision 1: gateway.yaml: its checksum differs"]
    with pytest.raises(HistoryError, match=r"revision 1: gateway\.yaml: its checksum differs"):
        history.content(1)
    assert history.content(2) == edge(b"to: 10.0.0.2")


def test_a_store_of_a_newer_version_is_left_alone(history: History) -> None:
    history.add(TRIED, edge(b"spec"))
    history.close()
    db = sqlite3.connect(history.path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(HistoryError, match="made by a newer nvictl"):
        history.add(TRIED, edge(b"spec"))
    assert [path.name for path in history.path.parent.iterdir()] == [NAME]


def test_an_auditor_reads_it_with_sqlite_alone(history: History) -> None:
    history.add(TRIED, edge(b"kind: Gateway\n"))
    db = sqlite3.connect(history.path)
    found = db.execute(
        "SELECT time, result, uid, plan, data, origin ->> 'signer' FROM revision r "
        "JOIN file f ON f.revision = r.number JOIN content c ON c.number = f.content"
    ).fetchone()
    assert found == ("2023-11-14T22:13:20.500Z", "applied", 1000, "+ forward web", b"kind: Gateway\n", "ada")


def change(history: History, statement: str) -> None:
    """What a hand does with sqlite3(1)."""
    history.close()
    with sqlite3.connect(history.path) as db:
        db.execute(statement)
    db.close()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM file",
        "DELETE FROM file WHERE name = 'forwards.csv'",
        "DELETE FROM content",
        "DELETE FROM content WHERE number = 2",
        "UPDATE file SET content = 1",
        "UPDATE file SET name = 'a.yaml' WHERE name = 'gateway.yaml'",
        "UPDATE content SET data = 7",
    ],
)
def test_a_revision_whose_files_were_pruned_by_hand_is_none_to_return_to(history: History, statement: str) -> None:
    """Without its files it would be the removal of the gateway, and with some of them another gateway."""
    history.add(TRIED, edge(b"spec", **{"forwards.csv": b"name"}))
    change(history, statement)
    history.add(replace(TRIED, standing=Standing.NONE), edge(b"another", **{"forwards.csv": b"names"}))
    with pytest.raises(HistoryError, match="history: revision 1: "):
        last_confirmed(history)
    assert len(history.verify()) == 1
    assert history.content(2) == edge(b"another", **{"forwards.csv": b"names"})


def test_a_file_that_was_changed_by_hand_in_the_store_is_kept_again(history: History) -> None:
    history.add(TRIED, edge(b"spec"))
    change(history, "UPDATE content SET data = 'spic'")
    history.add(TRIED, edge(b"spec"))
    assert history.content(2) == edge(b"spec")
    assert history.verify() == ["history: revision 1: gateway.yaml: its checksum differs"]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("standing", "'x'"),
        ("result", "1"),
        ("origin", "'{'"),
        ("seconds_since_1970", "'today'"),
        ("gateway", "x'ff'"),
    ],
)
def test_a_row_that_was_damaged_by_hand_is_named_and_hides_no_other(
    history: History, column: str, value: str
) -> None:
    for _ in range(2):
        history.add(TRIED, edge(b"spec"))
    change(history, f"UPDATE revision SET {column} = {value} WHERE number = 1")
    assert [found.number for found in history.revisions()] == [2]
    assert "history: revision 1: damaged: " in history.take_warnings()[0]
    with pytest.raises(HistoryError, match="history: revision 1: damaged: "):
        history.revision(1)
    assert len(history.verify()) == 1


def test_a_number_whose_row_was_deleted_by_hand_is_not_used_again(history: History) -> None:
    for _ in range(2):
        history.add(TRIED, edge(b"spec"))
    change(history, "DELETE FROM revision WHERE number = 2")
    assert history.add(TRIED, edge(b"spec")).number == 3
    assert history.take_warnings() == ()


def test_a_store_that_was_copied_by_hand_or_made_by_an_earlier_version_is_gone_on_with(history: History) -> None:
    """`sqlite3 history.sqlite .dump` has no `user_version`."""
    history.add(TRIED, edge(b"spec"))
    for statement in ("PRAGMA user_version = 0", "ALTER TABLE revision DROP COLUMN proof"):
        change(history, statement)
        assert history.content(1) == edge(b"spec")
        number = history.add(TRIED, edge(b"more")).number
        assert history.content(number) == edge(b"more")
    assert [found.number for found in history.revisions()] == [3, 2, 1]
    assert (history.verify(), history.take_warnings()) == ([], ())


def test_what_a_large_spec_is_known_by_is_worked_out_once() -> None:
    content = edge(b"".join(forwards(100)))
    assert content.digest is content.digest

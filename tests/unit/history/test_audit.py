"""Each try and decision is a line that stays, and an entry in the journal."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from nvi_operator.history.audit import AuditLog
from nvi_operator.history.revision import Origin, Requester, Revision, RevisionResult
from nvi_operator.rollout.audit import tell

REVERTED = Revision(
    7,
    1.0,
    "edge",
    "apply",
    Requester(1000, 42, 3, "nvictl apply /etc/nvi"),
    RevisionResult.REVERTED,
    error="nft: refused\n  hint: none",
    steps=0,
    seconds=0.5,
    origin=Origin("c0ffee", signer="ada"),
)


def test_a_line_is_appended_to_whatever_is_there(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    log.append({"outcome": "begun"})
    with log.path.open("ab") as file:
        file.write(b'{"outcome":"app')  # the power went
    assert tell(tmp_path, REVERTED, "reverted", tmp_path / "none") == ""
    first, torn, last = log.path.read_text().splitlines()
    assert (json.loads(first), torn) == ({"outcome": "begun"}, '{"outcome":"app')
    found = json.loads(last)
    assert (found["revision"], found["outcome"], found["uid"], found["signer"]) == (7, "reverted", 1000, "ada")


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "audit.jsonl").mkdir()
    assert "writing the audit log" in tell(tmp_path, REVERTED, "reverted", tmp_path / "none")


def test_the_journal_gets_fields_to_search_for(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(tmp_path / "socket"))
        tell(tmp_path, REVERTED, "reverted", tmp_path / "socket")
        data = journal.recv(65536)
    found = {}
    while data:
        name, _, data = data.partition(b"\n")
        size = int.from_bytes(data[:8], "little")
        found[name.decode()], data = data[8 : 8 + size].decode(), data[9 + size :]
    assert {
        name: found[name] for name in ("NVI_REVISION", "NVI_OUTCOME", "NVI_GATEWAY", "NVI_COMMIT", "PRIORITY")
    } == {
        "NVI_REVISION": "7",
        "NVI_OUTCOME": "reverted",
        "NVI_GATEWAY": "edge",
        "NVI_COMMIT": "c0ffee",
        "PRIORITY": "4",
    }
    assert found["MESSAGE"] == "edge: revision 7: reverted: nft: refused\n  hint: none"
    assert "NVI_TIME" not in found

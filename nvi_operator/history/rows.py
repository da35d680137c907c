"""The tables of the store, and a revision as a row of them. Pure.

Names and values are for people with sqlite3(1) as well, who may change them; a column is only ever added.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from nvi_operator.events.moment import iso
from nvi_operator.history.contents import Kept
from nvi_operator.history.revision import Origin, Requester, Revision, RevisionResult, Standing

SCHEMA = 1  # `PRAGMA user_version`
TABLES = """
CREATE TABLE IF NOT EXISTS revision (
    number INTEGER PRIMARY KEY, time TEXT NOT NULL, seconds_since_1970 REAL NOT NULL, gateway TEXT NOT NULL,
    action TEXT NOT NULL, result TEXT NOT NULL, standing TEXT NOT NULL, error TEXT NOT NULL, failed_check TEXT NOT
    NULL, reasons TEXT NOT NULL, plan TEXT NOT NULL, steps INTEGER NOT NULL, seconds REAL NOT NULL, repeats INTEGER,
    confirmed_by TEXT NOT NULL, uid INTEGER NOT NULL, pid INTEGER NOT NULL, session INTEGER, command TEXT NOT NULL,
    origin TEXT, proof TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS content (
    number INTEGER PRIMARY KEY, data BLOB NOT NULL, packed INTEGER NOT NULL, base INTEGER, depth INTEGER NOT NULL,
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, proof BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS file (
    revision INTEGER NOT NULL, name TEXT NOT NULL, content INTEGER NOT NULL, PRIMARY KEY (revision, name)
) WITHOUT ROWID;
"""
REVISION = (
    "number, time, seconds_since_1970, gateway, action, result, standing, error, failed_check, reasons, plan, steps, "
    "seconds, repeats, confirmed_by, uid, pid, session, command, origin"
)
# What an earlier version made has no such column.
PROOFS = "ALTER TABLE revision ADD COLUMN proof TEXT NOT NULL DEFAULT ''"
COLUMNS = "SELECT name FROM pragma_table_info('revision')"
NEXT = """
SELECT max(coalesce((SELECT max(number) FROM revision), 0), coalesce((SELECT max(revision) FROM file), 0)) + 1
"""
LISTED = REVISION.replace(" plan,", " '',")  # without its plan
PLACES = ", ".join("?" * len(REVISION.split(",")))
FILES = """
SELECT name, proof FROM file LEFT JOIN content ON content.number = file.content WHERE revision = ? ORDER BY name
"""
CHAIN = """
WITH RECURSIVE chain(number) AS (
    VALUES (?) UNION ALL SELECT base FROM content JOIN chain USING (number) WHERE base IS NOT NULL
) SELECT data, packed, base, depth, start, "end", proof FROM content WHERE number IN chain ORDER BY depth
"""
UNUSED = """
WITH RECURSIVE used(number) AS (
    SELECT content FROM file UNION SELECT base FROM content JOIN used USING (number) WHERE base IS NOT NULL
) DELETE FROM content WHERE number NOT IN used
"""


_TEXT, _NUMBER, _PERHAPS = (str,), (int, float), (int, type(None))
_TYPES: tuple[tuple[type, ...], ...] = (  # of the columns of REVISION
    *((int,), _TEXT, _NUMBER, _TEXT, _TEXT, _TEXT, _TEXT, _TEXT, _TEXT, _TEXT, _TEXT, (int,), _NUMBER, _PERHAPS),
    *(_TEXT, (int,), (int,), _PERHAPS, _TEXT, (str, type(None))),
)


def proof_of(files: Iterable[tuple[object, object]]) -> str:
    """Of a revision's files, by their names and the proofs of their contents (FILES)."""
    return hashlib.sha256(repr(list(files)).encode()).hexdigest()


def kept_of(row: Sequence[Any]) -> Kept:
    """ValueError where it is damaged."""
    data, packed, *rest = row
    data = data.encode() if isinstance(data, str) else data  # changed with SQLite's text functions
    if not isinstance(data, bytes):
        raise ValueError("its content is none")
    return Kept(data, bool(packed), *rest)


def row_of(revision: Revision) -> tuple[object, ...]:
    asked, origin = revision.asked, revision.origin
    return (
        revision.number,
        iso(revision.time),
        revision.time,
        revision.gateway,
        revision.action,
        revision.result.value,
        revision.standing.value,
        revision.error,
        revision.check,
        " ".join(revision.reasons),
        revision.plan,
        revision.steps,
        revision.seconds,
        revision.of,
        revision.confirmed_by,
        asked.uid,
        asked.pid,
        asked.session,
        asked.command,
        json.dumps(asdict(origin)) if origin else None,
    )


def revision_of(row: tuple[Any, ...], files: Iterable[str]) -> Revision:
    """ValueError or TypeError where it is damaged."""
    for name, value, types in zip(REVISION.split(", "), row, _TYPES, strict=True):
        if not isinstance(value, types):
            raise ValueError(f"{name}: {value!r:.40}")
    origin = json.loads(row[19]) if row[19] else None
    return Revision(
        number=row[0],
        time=row[2],
        gateway=row[3],
        action=row[4],
        result=RevisionResult(row[5]),
        standing=Standing(row[6]),
        error=row[7],
        check=row[8],
        reasons=tuple(row[9].split()),
        plan=row[10],
        steps=row[11],
        seconds=row[12],
        of=row[13],
        confirmed_by=row[14],
        asked=Requester(row[15], row[16], row[17], row[18]),
        origin=Origin(**origin) if origin else None,
        files=tuple(sorted(files)),
    )

"""Connections to the file of the store, and its tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nvi_operator.history.rows import COLUMNS, PROOFS, SCHEMA, TABLES

_BUSY = 5.0  # seconds to wait for another process's transaction


def connect(path: Path, *, writes: bool) -> sqlite3.Connection:
    """On a read-only disk the file is read as it is: nothing can be written to it meanwhile."""
    quoted = path.absolute().as_uri()
    modes = ("rw",) if writes else ("ro", "ro&immutable=1")
    for mode in modes:
        db = sqlite3.connect(f"{quoted}?mode={mode}", uri=True, timeout=_BUSY, isolation_level=None)
        try:
            db.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
        except sqlite3.OperationalError:
            db.close()
            if mode == modes[-1]:
                raise
        except BaseException:
            db.close()
            raise
        else:
            return db
    raise AssertionError("the last mode returns or raises")


def create(db: sqlite3.Connection) -> None:
    """The tables and columns that are not there."""
    if _is_complete(db):
        return
    with transaction(db):
        if not _is_complete(db):
            for statement in TABLES.split(";")[:-1]:
                db.execute(statement)
            if not has_proofs(db):
                db.execute(PROOFS)
            db.execute(f"PRAGMA user_version = {SCHEMA}")


def _is_complete(db: sqlite3.Connection) -> bool:
    return db.execute("PRAGMA user_version").fetchone()[0] == SCHEMA and has_proofs(db)


def has_proofs(db: sqlite3.Connection) -> bool:
    return ("proof",) in db.execute(COLUMNS).fetchall()


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise


def is_missing_table(error: sqlite3.Error) -> bool:
    """A process was killed between making the file and its tables."""
    return "no such table" in str(error)

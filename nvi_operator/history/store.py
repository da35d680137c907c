"""The store of revisions: one SQLite file, bounded, readable with sqlite3(1) (docs/adr/0025-history.md).

Written after an apply and before it is reported, by the holder of the gateway's lock; read by anyone with the right.
It is no truth about the kernel. A damaged file is renamed, and a new one begun: `warnings` names both.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any, TypeVar

from nvi_operator.errors import KernelError, NviError
from nvi_operator.history.connection import connect, create, has_proofs, is_missing_table, transaction
from nvi_operator.history.contents import SMALL, Kept, difference, rebuilt, whole
from nvi_operator.history.revision import Content, Files, Revision, Standing
from nvi_operator.history.rows import (
    CHAIN,
    FILES,
    LISTED,
    NEXT,
    PLACES,
    REVISION,
    SCHEMA,
    UNUSED,
    kept_of,
    proof_of,
    revision_of,
    row_of,
)
from nvi_operator.store.directory import HINTS, damaged_name, file_errors, open_file

NAME = "history.sqlite"
MOST = 1000  # revisions that are kept
MOST_BYTES = 192 << 20  # of the file
SYNCHRONOUS = "FULL"  # sqlite.org/pragma.html#pragma_synchronous

T = TypeVar("T")


class HistoryError(NviError):
    """The store cannot be read or written. Never a reason to leave a gateway alone."""


class History:
    """Close it. `directory` is this gateway's own, below `/var/lib/nvi-operator`."""

    def __init__(self, directory: Path, *, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self.path = directory / NAME
        self.warnings: tuple[str, ...] = ()
        self._most = most
        self._most_bytes = most_bytes
        self._db: sqlite3.Connection | None = None
        self._writable = False
        self._last: tuple[int, Files] | None = None  # the newest revision with files, as it was written or read here

    @property
    def was_damaged(self) -> bool:
        """Was a damaged file set aside, now or earlier? Then there may have been more than is known."""
        try:
            return any(self.path.parent.glob(f"{NAME}.damaged-*"))
        except OSError:  # then it cannot be told
            return True

    def take_warnings(self) -> tuple[str, ...]:
        """The warnings since the last call."""
        found, self.warnings = self.warnings, ()
        return found

    def close(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            with suppress(sqlite3.Error):
                db.close()

    def __enter__(self) -> History:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---------------------------------------------------------------- reading

    def revisions(self, most: int = MOST) -> list[Revision]:
        """The newest ones, the newest first; without their plans, which are most of what is read. `warnings` names
        the damaged ones, which are left out.
        """

        def read(db: sqlite3.Connection) -> list[Revision]:
            rows = db.execute(f"SELECT {LISTED} FROM revision ORDER BY number DESC LIMIT ?", (most,)).fetchall()
            names: dict[int, list[str]] = {}
            oldest = rows[-1][0] if rows else 0
            for number, name in db.execute("SELECT revision, name FROM file WHERE revision >= ?", (oldest,)):
                names.setdefault(number, []).append(name)
            return [found for row in rows if (found := self._sound(row, names.get(row[0], ())))]

        return self._read(read, [])

    def _sound(self, row: tuple[Any, ...], names: Iterable[str]) -> Revision | None:
        """The revision; None where its row is damaged, which is a warning."""
        try:
            return _revision_of(row, names)
        except HistoryError as error:
            self.warnings += (error.message,)
            return None

    def revision(self, number: int) -> Revision | None:
        """None where there is no such revision; HistoryError where it is damaged."""

        def read(db: sqlite3.Connection) -> Revision | None:
            row = db.execute(f"SELECT {REVISION} FROM revision WHERE number = ?", (number,)).fetchone()
            names = db.execute("SELECT name FROM file WHERE revision = ? ORDER BY name", (number,))
            return _revision_of(row, [name for (name,) in names]) if row else None

        return self._read(read, None)

    def newest(self, standing: Standing | None = None) -> Revision | None:
        """The newest one of this standing; of any that holds or held without."""

        def read(db: sqlite3.Connection) -> int | None:
            where = "standing = ?" if standing else "standing != ?"
            query = f"SELECT number FROM revision WHERE {where} ORDER BY number DESC LIMIT 1"
            row = db.execute(query, (standing or Standing.NONE,)).fetchone()
            return int(row[0]) if row else None

        number = self._read(read, None)
        return None if number is None else self.revision(number)

    def content(self, number: int) -> Content:
        """HistoryError if there is no such revision, or it is damaged."""

        def read(db: sqlite3.Connection) -> Content | None:
            row = db.execute("SELECT gateway FROM revision WHERE number = ?", (number,)).fetchone()
            return Content(row[0], dict(self._files(db, number))) if row else None

        found = self._read(read, None)
        if found is None:
            raise HistoryError(
                f"history: there is no revision {number}", hint="`nvictl history` lists those that are kept"
            )
        return found

    def verify(self) -> list[str]:
        """What is damaged: each row and kept file is read, and its checksum compared."""

        def read(db: sqlite3.Connection) -> list[str]:
            found = [str(row[0]) for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
            for row in db.execute(f"SELECT {LISTED} FROM revision ORDER BY number").fetchall():
                for check in (lambda row: _revision_of(row, ()), lambda row: dict(self._files(db, row[0]))):
                    try:
                        check(row)
                    except HistoryError as error:
                        found.append(error.message)
            return found

        return self._read(read, [])

    def _files(self, db: sqlite3.Connection, number: int) -> Iterator[tuple[str, bytes]]:
        proof = "proof" if has_proofs(db) else "''"
        row = db.execute(f"SELECT {proof} FROM revision WHERE number = ?", (number,)).fetchone()
        if row and row[0] and row[0] != proof_of(db.execute(FILES, (number,))):
            raise HistoryError(f"history: revision {number}: its files are not those that were recorded")
        rows = db.execute("SELECT name, content FROM file WHERE revision = ? ORDER BY name", (number,)).fetchall()
        for name, content in rows:
            try:
                yield name, rebuilt(kept_of(row) for row in db.execute(CHAIN, (content,)))
            except (ValueError, zlib.error) as error:
                raise HistoryError(f"history: revision {number}: {name}: {error}") from error

    # ---------------------------------------------------------------- writing

    def add(self, revision: Revision, content: Content, *, durable: bool = True) -> Revision:
        """The revision with its number. Survives a power cut if `durable`, and a kill in any case."""

        def write(db: sqlite3.Connection) -> Revision:
            number = int(db.execute(NEXT).fetchone()[0])
            made = replace(revision, number=number, files=tuple(sorted(content.files)))
            db.execute(f"INSERT INTO revision ({REVISION}) VALUES ({PLACES})", row_of(made))
            for name, data in content.files.items():
                kept = self._keep(db, name, data)
                db.execute("INSERT INTO file VALUES (?, ?, ?)", (number, name, kept))
            proof = proof_of(db.execute(FILES, (number,)))
            db.execute("UPDATE revision SET proof = ? WHERE number = ?", (proof, number))
            self._bound(db)
            return made

        made = self._write(write, durable=durable)
        if content.files:
            self._last = made.number, dict(content.files)
        return made

    def change(self, revision: Revision) -> None:
        """What came of it. Its files stay as they are."""
        assignments = ", ".join(f"{name.strip()} = ?" for name in REVISION.split(","))

        def write(db: sqlite3.Connection) -> None:
            db.execute(f"UPDATE revision SET {assignments} WHERE number = ?", (*row_of(revision), revision.number))

        self._write(write)

    def is_newest(self, content: Content) -> bool:
        """Does the newest revision consist of these files?"""
        newest = self.revisions(1)
        if not newest or newest[0].gateway != content.gateway or set(newest[0].files) != content.files.keys():
            return False
        with suppress(HistoryError):
            return self._known_files(newest[0].number) == dict(content.files)
        return False

    def _known_files(self, number: int) -> Files:
        if self._last is None or self._last[0] != number:
            self._last = number, self.content(number).files
        return self._last[1]

    def _keep(self, db: sqlite3.Connection, name: str, data: bytes) -> int:
        """The number under which this version of a file is kept."""
        kept = whole(data) if len(data) <= SMALL else None
        if before := self._latest(db, name):
            number, base, revision = before
            if kept == base:
                return number
            if kept is None:
                old = self._version(db, revision, name)
                if old == data:
                    return number
                kept = difference(number, base, old, data) if old is not None else None
        row = astuple(kept or whole(data))
        done = db.execute(
            'INSERT INTO content (data, packed, base, depth, start, "end", proof) VALUES (?, ?, ?, ?, ?, ?, ?)', row
        )
        assert done.lastrowid is not None
        return done.lastrowid

    def _latest(self, db: sqlite3.Connection, name: str) -> tuple[int, Kept, int] | None:
        """The newest version of a file: its number, itself, its revision. None: there is none, or it is damaged."""
        row = db.execute(
            'SELECT c.number, c.data, c.packed, c.base, c.depth, c.start, c."end", c.proof, f.revision '
            "FROM file f JOIN content c ON c.number = f.content WHERE f.name = ? ORDER BY f.revision DESC LIMIT 1",
            (name,),
        ).fetchone()
        if row is None:
            return None
        number, *columns, revision = row
        try:
            return number, kept_of(columns), revision
        except ValueError:
            return None

    def _version(self, db: sqlite3.Connection, revision: int, name: str) -> bytes | None:
        """A file of a revision; None where it is damaged: the next one is kept as a whole then."""
        if self._last is not None and self._last[0] == revision:
            return self._last[1].get(name)
        with suppress(HistoryError):
            return dict(self._files(db, revision)).get(name)
        return None

    def _bound(self, db: sqlite3.Connection) -> None:
        """Drops the oldest revisions beyond the limits, but for the ones to return to."""
        (pages,), (free,), (size,) = (
            db.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "freelist_count", "page_size")
        )
        (count,) = db.execute("SELECT count(*) FROM revision").fetchone()
        most = min(self._most, count - count // 4) if (pages - free) * size > self._most_bytes else self._most
        if count <= most:
            return
        keep = "number = (SELECT max(number) FROM revision WHERE standing = 'confirmed') OR standing = 'pending'"
        old = f"SELECT number FROM revision WHERE NOT ({keep}) ORDER BY number LIMIT {int(count - most)}"
        db.execute(f"DELETE FROM file WHERE revision IN ({old})")
        db.execute(f"DELETE FROM revision WHERE number IN ({old})")
        db.execute(UNUSED)

    # ---------------------------------------------------------------- the file

    def _read(self, read: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        try:
            if self._db is None and not self.path.exists():
                return otherwise
            return read(self._opened(writes=False))
        except sqlite3.OperationalError as error:
            if is_missing_table(error):
                return otherwise
            if not os.access(self.path, os.R_OK):  # SQLite says only that it cannot open it
                raise HistoryError(f"{self.path}: reading: Permission denied", hint=HINTS[errno.EACCES]) from error
            raise HistoryError(f"{self.path}: reading: {error}") from error
        except OSError as error:
            hint = HINTS.get(error.errno or 0, "")
            raise HistoryError(f"{self.path}: reading: {error.strerror or error}", hint=hint) from error
        except sqlite3.DatabaseError as error:
            raise HistoryError(
                f"{self.path}: damaged: {error}", hint="the next apply renames it and begins a new one"
            ) from error

    def _write(self, write: Callable[[sqlite3.Connection], T], *, durable: bool = True) -> T:
        try:
            try:
                return self._written(write, durable)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                self.close()
                self._set_aside(error)
                return self._written(write, durable)
        except sqlite3.Error as error:
            self.close()
            raise HistoryError(f"{self.path}: writing: {error}{self._if_full()}") from error
        except KernelError as error:
            raise HistoryError(error.message, hint=error.hint) from error

    def _if_full(self) -> str:
        """SQLite calls it an I/O error where there is no room for its shared memory (SQLITE_IOERR_SHMSIZE)."""
        with suppress(OSError):
            if not os.statvfs(self.path.parent).f_bavail:
                return ": the disk is full"
        return ""

    def _written(self, write: Callable[[sqlite3.Connection], T], durable: bool) -> T:
        db = self._opened(writes=True)
        db.execute(f"PRAGMA synchronous = {SYNCHRONOUS if durable else 'NORMAL'}")
        with transaction(db):
            return write(db)

    def _opened(self, *, writes: bool) -> sqlite3.Connection:
        if self._db is not None and writes and not self._writable:
            self.close()
        if self._db is None:
            self._db, self._writable = self._open(writes=writes), writes
        return self._db

    def _open(self, *, writes: bool) -> sqlite3.Connection:
        if writes:
            with file_errors(f"{self.path}: opening the history"):
                os.close(open_file(self.path, os.O_RDWR))  # which looks at its owner
        db = connect(self.path, writes=writes)
        try:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version > SCHEMA:
                raise HistoryError(
                    f"{self.path}: made by a newer nvictl (schema {version})",
                    hint="use that one, or move the file away",
                )
            if writes:
                db.execute("PRAGMA journal_mode = WAL")
                create(db)
        except BaseException:
            db.close()
            raise
        return db

    def _set_aside(self, error: sqlite3.Error) -> None:
        aside = damaged_name(self.path)
        with file_errors(f"{self.path}: renaming the damaged file"):
            for suffix in ("-wal", "-shm", ""):
                with suppress(FileNotFoundError):
                    os.rename(f"{self.path}{suffix}", f"{aside}{suffix}")
        self._last = None
        self.warnings += (f"{self.path}: was damaged: {error}; renamed to {aside}, and a new history begun",)


def _revision_of(row: tuple[Any, ...], names: Iterable[str]) -> Revision:
    """HistoryError where it is damaged."""
    try:
        return revision_of(row, names)
    except (ValueError, TypeError) as error:
        raise HistoryError(f"history: revision {row[0]}: damaged: {error}") from error

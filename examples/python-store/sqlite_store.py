"""A replay store in SQLite: used proofs are remembered by all processes of one machine, and across restarts.

What a store owes is small: insert if absent, in one atomic step, and answer what became of it. Only `fresh` lets a request in, so a
store that does not know says anything but that. PostgreSQL or MySQL take the same statements.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
import time
from pathlib import Path

from keybound import Insertion, ReplayEntry

SCHEMA = """
CREATE TABLE IF NOT EXISTS namespace (
    name TEXT PRIMARY KEY, agreement BLOB, began INTEGER NOT NULL, epoch TEXT NOT NULL,
    held INTEGER NOT NULL DEFAULT 0, dropped INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS proof (
    namespace TEXT NOT NULL, key BLOB NOT NULL, keep_until INTEGER NOT NULL, PRIMARY KEY (namespace, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS proof_by_time ON proof (namespace, keep_until);
"""

# How many expired proofs one insertion deletes: more than one, so that the table shrinks; few, so that nobody waits for it.
SWEEP = 16


class SqliteReplayStore:
    """Used proofs in a file.

    All verifiers that share `namespace` have to agree on times and modes: the first one that asks leaves its agreement there, and who
    brings another is answered `unavailable`.
    """

    def __init__(
        self, path: str | Path, *, namespace: str, capacity: int = 1_000_000, timeout: float = 5.0, began: int | None = None
    ) -> None:
        """Opens or makes the file.

        `capacity` is how many proofs are held, `timeout` how long a busy file is waited for (seconds). `began` is when a new store begins
        to vouch, now unless nothing was served before it: then whatever was used earlier is known to be nothing.
        """
        self._path, self._namespace, self._capacity, self._timeout = str(path), namespace, capacity, timeout
        self._local = threading.local()
        connection = self._connection()
        connection.executescript(SCHEMA)
        # The first process names the life of this namespace, the others read its name.
        connection.execute(
            "INSERT OR IGNORE INTO namespace (name, began, epoch) VALUES (?, ?, ?)",
            (namespace, int(time.time()) if began is None else began, str(secrets.randbits(63))),
        )
        row = connection.execute("SELECT epoch FROM namespace WHERE name = ?", (namespace,)).fetchone()
        self._epoch: str = row[0]

    @property
    def epoch(self) -> str:
        """Names the life of this store: from the creation of the namespace until its file is deleted."""
        return self._epoch

    def insert(self, entry: ReplayEntry, *, now: int) -> Insertion:
        """Inserts a proof if it is absent. `now` is in whole seconds since 1970."""
        try:
            connection = self._connection()
            # One writer at a time from here to the end: nobody looks between our look and our insert.
            connection.execute("BEGIN IMMEDIATE")
            try:
                answer = self._insert(connection, entry, now)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        except sqlite3.Error:
            # Locked, read-only, disk full, damaged: whoever asks is refused.
            return Insertion.UNAVAILABLE
        return answer

    def _insert(self, connection: sqlite3.Connection, entry: ReplayEntry, now: int) -> Insertion:
        name, key = self._namespace, entry.key
        connection.execute(
            "UPDATE namespace SET agreement = ? WHERE name = ? AND agreement IS NULL", (entry.agreement, name)
        )
        row = connection.execute(
            "SELECT agreement, began, epoch, held, dropped FROM namespace WHERE name = ?", (name,)
        ).fetchone()
        # No row: someone deleted the namespace while we ran, and what was used before is not known.
        if row is None or row[0] != entry.agreement or row[2] != self._epoch:
            return Insertion.UNAVAILABLE
        _, began, epoch, held, dropped = row
        # A proof made before this store began may have been used in an earlier one, unless its nonce is from now.
        if entry.timed_at <= began + entry.max_ahead and entry.nonce_epoch != epoch:
            return Insertion.BEFORE_FLOOR
        # Proofs up to here were forgotten: a clock that is set back must not bring them to life again.
        if entry.keep_until <= dropped:
            return Insertion.BEFORE_FLOOR
        held -= self._sweep(connection, now)
        if connection.execute("SELECT 1 FROM proof WHERE namespace = ? AND key = ?", (name, key)).fetchone():
            return Insertion.SEEN
        if held >= self._capacity:
            return Insertion.FULL
        connection.execute("INSERT INTO proof VALUES (?, ?, ?)", (name, key, entry.keep_until))
        connection.execute("UPDATE namespace SET held = ? WHERE name = ?", (held + 1, name))
        return Insertion.FRESH

    def _sweep(self, connection: sqlite3.Connection, now: int) -> int:
        """Deletes some proofs that no clock accepts any more, and says how many."""
        expired = connection.execute(
            "SELECT key, keep_until FROM proof WHERE namespace = ? AND keep_until < ? ORDER BY keep_until LIMIT ?",
            (self._namespace, now, SWEEP),
        ).fetchall()
        if expired:
            connection.executemany(
                "DELETE FROM proof WHERE namespace = ? AND key = ?", [(self._namespace, key) for key, _ in expired]
            )
            connection.execute(
                "UPDATE namespace SET held = held - ?, dropped = max(dropped, ?) WHERE name = ?",
                (len(expired), expired[-1][1], self._namespace),
            )
        return len(expired)

    def _connection(self) -> sqlite3.Connection:
        """The connection of this thread and process: SQLite's are not to be carried through a fork."""
        held: tuple[int, sqlite3.Connection] | None = getattr(self._local, "held", None)
        if held is not None and held[0] == os.getpid():
            return held[1]
        connection = sqlite3.connect(self._path, timeout=self._timeout, isolation_level=None)
        # Readers and a writer at once; and what was answered `fresh` stays, whatever happens to the power.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        self._local.held = (os.getpid(), connection)
        return connection

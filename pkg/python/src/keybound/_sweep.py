"""What a session store can delete: logins that no one completed, intents that ended, and keys that nothing names. The core decides."""

from __future__ import annotations

import json

from . import _keybound

__all__ = ["SWEEP_AGAIN", "Sweep"]

#: How long after one sweep a store sweeps again, in seconds; and how old what a broken write left has to be.
SWEEP_AGAIN = 3_600


class Sweep:
    """One look at everything that a store has, one value at a time, so that secrets do not pile up."""

    def __init__(self, now: int) -> None:
        self._native = _keybound.NativeSweep(now)

    def stored(self, slot: str, version: int, value: str | None, stored_at: int | None = None) -> None:
        """There is a value in `slot`. `None` is one that cannot be read: it may name any key, and none is deleted as unnamed."""
        self._native.stored(slot, version, value, stored_at)

    def key(self, thumbprint: str, created_at: int) -> None:
        """There is a key that a flow made. Keys of the user's own are not told: nothing that is stored names them."""
        try:
            self._native.key(thumbprint, created_at)
        except _keybound.NativeError:
            # No thumbprint: not one of ours.
            return

    def finish(self) -> tuple[list[tuple[str, int]], list[str]]:
        """Slots to delete, if they still have this version; then keys to delete."""
        told = json.loads(self._native.finish())
        return [(each["slot"], each["version"]) for each in told["slots"]], told["keys"]

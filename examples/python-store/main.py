"""One proof, eight processes, one store: `python main.py` shows that exactly one of them accepts it."""

import multiprocessing
import tempfile
import time
from pathlib import Path

from sqlite_store import SqliteReplayStore

from keybound import Key, KeyboundError, Policy, Presented, Verifier, proof

URL = "https://api.example.com/items"
TOKEN = "the-access-token"


def present(path: str, made: str, thumbprint: str) -> str:
    """What one worker process says to the proof."""
    store = SqliteReplayStore(path, namespace="items")
    try:
        presented = Presented(proof=made, method="GET", url=URL, access_token=TOKEN, bound_to=thumbprint)
        Verifier(policy=Policy(namespace="items")).verify(presented, store=store)
    except KeyboundError as error:
        return error.reason
    return "accepted"


def main() -> None:
    """Presents one proof to all workers at once."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "proofs.sqlite3")
        # A store vouches for the time since it began, so this one begins well before the proof is made.
        SqliteReplayStore(path, namespace="items", began=int(time.time()) - 60)
        key = Key.generate()
        made = proof(key=key, method="GET", url=URL, access_token=TOKEN)
        with multiprocessing.get_context("spawn").Pool(8) as workers:
            verdicts = workers.starmap(present, [(path, made, key.thumbprint)] * 8)
        for verdict in sorted(set(verdicts)):
            print(f"{verdicts.count(verdict)} x {verdict}")
        assert verdicts.count("accepted") == 1


if __name__ == "__main__":
    main()

"""Several workers with one store: each proof is good once among them, and their nonces are good for all of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from protected import GUNICORN, SERVERS, UVICORN, start
from token_issuer import TokenIssuer

SERVERS["shared-gunicorn"] = ([*GUNICORN, "--workers", "3", "shared_app:wsgi"], {})
SERVERS["shared-uvicorn"] = ([*UVICORN, "--workers", "3", "shared_app:asgi"], {})


@pytest.mark.parametrize("kind", ["shared-gunicorn", "shared-uvicorn"])
def test_a_proof_is_good_once_among_workers(kind: str, issuer: TokenIssuer, tmp_path: Path) -> None:
    with ExitStack() as stack:
        protected = start(stack, kind, issuer, PROOFS=str(tmp_path / "proofs.sqlite3"))
        token, workers = protected.token(), set()
        assert protected.call("/api/items", token).status == 200
        with ThreadPoolExecutor(16) as threads:
            # Whichever worker answers, it takes the nonces of the others.
            for _ in range(50):
                for answer in threads.map(lambda _: protected.call("/api/items", token), range(16)):
                    assert answer.status == 200, answer
                    workers.add(answer.json()["worker"])
                if len(workers) > 1:
                    break
            assert len(workers) > 1, "requests reached several workers"
            fields = [("Authorization", f"DPoP {token}"), ("DPoP", protected.proof("/api/items", token))]
            answers = list(threads.map(lambda _: protected.send("/api/items", *fields).status, range(32)))
        assert (answers.count(200), answers.count(401)) == (1, 31)

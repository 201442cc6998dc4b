"""What a proof costs here, and what its signature alone costs in `cryptography`, in one process.

    python bench.py [--format json] [--rounds 5]

64 keys, 1,000 proofs, ES256. The candidates take turns in slices of 50; each slice is measured in time of the thread on the processor, and
what counts is the ratio to the base, by minimum and by median. The bases are the least that anybody does with `cryptography`: to make,
the signature of the same bytes; to verify, a public key from the numbers of the JWK and the signature's check. `pydpop` takes part where
it is installed. Build for it with `maturin develop --release`.
"""

from __future__ import annotations

import argparse
import base64
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from keybound import Key, MemoryReplayStore, Presented, Verifier, __version__, proof

KEYS, PROOFS, SLICE = 64, 1_000, 50
URL, TOKEN = "https://api.example.com/items", "an-access-token-of-some-length-0123456789abcdef0123456789abcdef"
NOW = int(time.time())
ECDSA = ec.ECDSA(hashes.SHA256())


@dataclass(frozen=True)
class Sample:
    """A proof, its key in both libraries, and its parts as `cryptography` wants them."""

    key: Key
    private: ec.EllipticCurvePrivateKey
    thumbprint: str
    text: str
    message: bytes
    x: int
    y: int
    signature: bytes


@dataclass(frozen=True)
class Candidate:
    """Something to measure, and which figure it is a multiple of."""

    base: str
    run: Callable[[Sample], object]
    before: Callable[[], None] = lambda: None


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def samples() -> list[Sample]:
    """Proofs of all keys in turn."""
    pairs = [ec.generate_private_key(ec.SECP256R1()) for _ in range(KEYS)]
    keys = [(pair, Key.from_cryptography(pair)) for pair in pairs]
    made = []
    for number in range(PROOFS):
        pair, key = keys[number % KEYS]
        text = proof(key=key, method="GET", url=URL, access_token=TOKEN, now=NOW)
        message, _, signed = text.rpartition(".")
        raw, numbers = decoded(signed), pair.public_key().public_numbers()
        signature = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        made.append(Sample(key, pair, key.thumbprint, text, message.encode(), numbers.x, numbers.y, signature))
    return made


class Ours:
    """A verifier that has seen the keys before, or a new one for each slice; the store is always new: these proofs come again."""

    def __init__(self, *, remembers: bool) -> None:
        self._remembers = remembers
        self._verifier = Verifier()
        self.renew()

    def renew(self) -> None:
        """What is not measured: before each slice."""
        self._store = MemoryReplayStore(capacity=64 * 1024, now=NOW - 3600)
        if not self._remembers:
            self._verifier = Verifier()

    def run(self, sample: Sample) -> object:
        """One verdict."""
        presented = Presented(proof=sample.text, method="GET", url=URL, access_token=TOKEN, bound_to=sample.thumbprint)
        return self._verifier.verify(presented, store=self._store, now=NOW)


def sign(sample: Sample) -> object:
    """The base of making."""
    return sample.private.sign(sample.message, ECDSA)


def import_and_verify(sample: Sample) -> object:
    """The base of verifying."""
    public = ec.EllipticCurvePublicNumbers(sample.x, sample.y, ec.SECP256R1()).public_key()
    return public.verify(sample.signature, sample.message, ECDSA)


def make(sample: Sample) -> object:
    """One proof."""
    return proof(key=sample.key, method="GET", url=URL, access_token=TOKEN)


def candidates() -> dict[str, Candidate]:
    """Everything that takes turns."""
    known, new = Ours(remembers=True), Ours(remembers=False)
    found = {
        "make: cryptography, signature alone": Candidate("", sign),
        "make: keybound": Candidate("make: cryptography, signature alone", make),
        "verify: cryptography, key and signature alone": Candidate("", import_and_verify),
        "verify: keybound, keys seen before": Candidate("verify: cryptography, key and signature alone", known.run, known.renew),
        "verify: keybound, new keys": Candidate("verify: cryptography, key and signature alone", new.run, new.renew),
    }
    try:
        import pydpop
    except ImportError:
        return found

    def make_pydpop(sample: Sample) -> object:
        return pydpop.generate_proof(private_key=sample.private, htm="GET", htu=URL, access_token=TOKEN)

    def verify_pydpop(sample: Sample) -> object:
        return pydpop.verify_proof(proof=sample.text, htm="GET", htu=URL, access_token=TOKEN, now=NOW)

    found["make: pydpop"] = Candidate("make: cryptography, signature alone", make_pydpop)
    found["verify: pydpop, without a store"] = Candidate("verify: cryptography, key and signature alone", verify_pydpop)
    return found


def measured(rounds: int) -> dict[str, dict[str, Any]]:
    """Microseconds for each candidate and what multiple of its base that is."""
    proofs, all_candidates = samples(), candidates()
    slices: dict[str, list[float]] = {name: [] for name in all_candidates}
    # The first round warms up.
    for number in range(rounds + 1):
        for at in range(0, PROOFS, SLICE):
            part = proofs[at : at + SLICE]
            for name, candidate in all_candidates.items():
                candidate.before()
                run = candidate.run
                begin = time.thread_time()
                for sample in part:
                    run(sample)
                spent = time.thread_time() - begin
                if number > 0:
                    slices[name].append(spent / len(part) * 1e6)
    figures: dict[str, dict[str, Any]] = {}
    for name, candidate in all_candidates.items():
        least, median = min(slices[name]), statistics.median(slices[name])
        figures[name] = {"minimum_us": round(least, 2), "median_us": round(median, 2)}
        if candidate.base:
            base = figures[candidate.base]
            figures[name]["ratio_of_minima"] = round(least / base["minimum_us"], 3)
            figures[name]["ratio_of_medians"] = round(median / base["median_us"], 3)
    return figures


def main() -> None:
    """Measures, and prints."""
    parser = argparse.ArgumentParser(description="what a proof costs")
    parser.add_argument("--format", choices=["text", "json"], default="text")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    figures = measured(asked.rounds)
    if asked.format == "json":
        about = {"keybound": __version__, "python": platform.python_version(), "machine": platform.machine()}
        print(json.dumps({"about": about, "keys": KEYS, "proofs": PROOFS, "figures": figures}, indent=2))
        return
    print(f"{'':<48}{'minimum':>10}{'median':>10}{'ratios':>16}")
    for name, figure in figures.items():
        ratios = f"{figure['ratio_of_minima']:.2f} / {figure['ratio_of_medians']:.2f}" if "ratio_of_minima" in figure else ""
        print(f"{name:<48}{figure['minimum_us']:>7.1f} µs{figure['median_us']:>7.1f} µs{ratios:>16}")


if __name__ == "__main__":
    main()

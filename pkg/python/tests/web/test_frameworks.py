"""Every framework through its servers, byte by byte: what is admitted, what is refused, and with which answer."""

from __future__ import annotations

import dataclasses

import pytest
from protected import Protected
from loopback import Answer

from keybound import proof


def challenge(answer: Answer) -> str:
    """The DPoP challenge of a refusal, which has no body and is not cached."""
    assert answer.status == 401
    assert answer.body == b""
    assert "no-store" in answer.one("cache-control")
    return answer.one("www-authenticate")


def test_a_bound_token_with_its_proof_is_admitted(protected: Protected) -> None:
    answer = protected.call("/api/items")
    assert answer.status == 200, answer
    assert answer.json() == {"path": "/api/items", "subject": "alice", "thumbprint": protected.key.thumbprint}
    assert any("DPoP-Nonce" in value for value in answer.all("access-control-expose-headers"))


def test_without_a_token_the_answer_says_what_is_wanted(protected: Protected) -> None:
    said = challenge(protected.send("/api/items"))
    assert said.startswith("DPoP ") and "algs=" in said and "error=" not in said
    assert f'resource_metadata="{protected.origin}/.well-known/oauth-protected-resource/api"' in said


def test_metadata_is_served_to_anyone(protected: Protected) -> None:
    answer = protected.send("/.well-known/oauth-protected-resource/api")
    assert (answer.status, answer.one("content-type")) == (200, "application/json")
    metadata = answer.json()
    assert metadata["resource"] == f"{protected.origin}/api"
    assert metadata["authorization_servers"] == [protected.issuer.url]
    assert metadata["dpop_bound_access_tokens_required"] is True


def test_public_paths_need_nothing_and_only_they(protected: Protected) -> None:
    assert protected.send("/health").status == 200
    for near in ("/health/", "/healthz", "/Health", "/api/../health"):
        assert protected.send(near).status != 200, near


def test_a_proof_without_nonce_is_asked_for_one(protected: Protected) -> None:
    token = protected.token()
    made = protected.proof("/api/items", token, nonce=None) if protected.nonce is None else None
    if made is None:
        fresh = dataclasses.replace(protected, nonce=None)
        made = fresh.proof("/api/items", token)
    answer = protected.send("/api/items", ("Authorization", f"DPoP {token}"), ("DPoP", made))
    assert 'error="use_dpop_nonce"' in challenge(answer)
    assert answer.one("dpop-nonce")


def test_a_proof_is_good_once(protected: Protected) -> None:
    protected.call("/api/items")
    token = protected.token()
    fields = (("Authorization", f"DPoP {token}"), ("DPoP", protected.proof("/api/items", token)))
    assert protected.send("/api/items", *fields).status == 200
    assert 'error="invalid_dpop_proof"' in challenge(protected.send("/api/items", *fields))


def test_an_encoded_slash_is_another_path(protected: Protected) -> None:
    assert protected.call("/api/a%2Fb").status == 200
    assert protected.call("/api/a%2fb", proved="/api/a%2Fb").status == 200, "digits of escapes have no case"
    for path, proved in (("/api/a%2Fb", "/api/a/b"), ("/api/a/b", "/api/a%2Fb")):
        assert 'error="invalid_dpop_proof"' in challenge(protected.call(path, proved=proved)), path
    assert protected.call("/api/%61", proved="/api/a").status == 200, "letters are the same, escaped or not"
    assert protected.call("/api/a?page=2", proved="/api/a").status == 200, "a proof is for a target without its query"


@pytest.mark.parametrize("order", [0, 1])
def test_repeated_fields_are_refused(protected: Protected, order: int) -> None:
    protected.call("/api/items")
    token = protected.token()
    authorization = ("Authorization", f"DPoP {token}")
    good = ("DPoP", protected.proof("/api/items", token))
    other = ("DPoP", protected.proof("/api/items", token))
    proofs = (good, other) if order == 0 else (other, good)
    assert challenge(protected.send("/api/items", authorization, *proofs))
    folded = ("DPoP", f"{good[1]}, {other[1]}")
    assert challenge(protected.send("/api/items", authorization, folded))
    twice = ((authorization, ("Authorization", "Bearer x")), (("Authorization", "Bearer x"), authorization))[order]
    refused = protected.send("/api/items", *twice, ("DPoP", protected.proof("/api/items", token)))
    assert refused.status in (400, 401), refused
    # None of that used the proof up.
    assert protected.send("/api/items", authorization, good).status == 200


def test_the_host_field_counts_for_nothing(protected: Protected) -> None:
    protected.call("/api/items")
    token = protected.token()
    elsewhere = "http://elsewhere.example/api/items"
    made = proof(key=protected.key, method="GET", url=elsewhere, access_token=token, nonce=protected.nonce)
    answer = protected.send("/api/items", ("Authorization", f"DPoP {token}"), ("DPoP", made))
    assert 'error="invalid_dpop_proof"' in challenge(answer)


def test_a_stolen_token_opens_nothing(protected: Protected) -> None:
    protected.call("/api/items")
    token = protected.token()
    assert challenge(protected.send("/api/items", ("Authorization", f"Bearer {token}")))
    assert challenge(protected.send("/api/items", ("Authorization", f"DPoP {token}")))
    thief = dataclasses.replace(protected, key=type(protected.key).generate())
    assert challenge(thief.call("/api/items", token))
    unbound = protected.issuer.token(f"{protected.origin}/api", None)
    assert challenge(protected.call("/api/items", unbound))


def test_tokens_for_others_and_of_the_past_are_refused(protected: Protected) -> None:
    for claims in ({"aud": "https://other.example"}, {"exp": 1_000_000_000}, {"iss": "https://evil.example"}):
        assert 'error="invalid_token"' in challenge(protected.call("/api/items", protected.token(**claims))), claims


def test_a_scope_that_lacks_is_named(protected: Protected) -> None:
    refused = protected.call("/api/write")
    assert (refused.status, refused.body) == (403, b"")
    said = refused.one("www-authenticate")
    assert 'error="insufficient_scope"' in said and 'scope="write"' in said
    assert protected.call("/api/write", protected.token("read write")).json() == {"wrote": True}


def test_other_methods_need_proofs_of_their_own(protected: Protected) -> None:
    assert protected.call("/api/items", method="POST").status == 200
    token = protected.token()
    made = protected.proof("/api/items", token, method="GET")
    answer = protected.send("/api/items", ("Authorization", f"DPoP {token}"), ("DPoP", made), method="POST")
    assert 'error="invalid_dpop_proof"' in challenge(answer)


def test_keys_are_fetched_once_for_many_requests(protected: Protected) -> None:
    before = protected.issuer.fetched
    for _ in range(3):
        assert protected.call("/api/items").status == 200
    assert protected.issuer.fetched <= before + 1


def test_a_stated_mount_point_opens_no_handler(protected: Protected) -> None:
    # `/open/api/vault` is public, and there is nothing; `/api/vault` is there, and protected.
    answer = protected.send("/open/api/vault")
    assert answer.status == 404, answer
    for mount, path in [("/open", "/open/api/vault"), ("/open/", "/open/api/vault"), ("/x", "/x/api/vault"), ("/x;", "/x;/api/vault")]:
        answer = protected.send(path, *protected.stating(mount))
        expected = 400 if protected.is_mounted_by_clients else 404 if path == "/open/api/vault" else 401
        assert (answer.status, b"gold" in answer.body) == (expected, False), (mount, answer)
    # As it is written counts, and as it is decoded: gunicorn compares the one, daphne the other.
    for mount in ("/%6fpen", "/%6Fpen", "/open"):
        for path in ("/%6fpen/api/vault", "/open/api/vault", "//open/api/vault"):
            answer = protected.send(path, *protected.stating(mount))
            assert answer.status >= 400 and b"gold" not in answer.body, (mount, path, answer)
            # gunicorn answers 500 itself to what is not below its mount point.
            assert answer.status == 400 or not path.startswith(mount) or not protected.is_mounted_by_clients


def test_a_proof_for_one_handler_opens_no_other(protected: Protected) -> None:
    assert protected.call("/api/items").status == 200
    token = protected.token()
    fields = (("Authorization", f"DPoP {token}"), ("DPoP", protected.proof("/other/api/items", token)))
    if protected.is_mounted_by_clients:
        assert protected.send("/other/api/items", *fields, *protected.stating("/other")).status == 400
    # It was not used up: what was refused was looked at no further.
    assert protected.send("/other/api/items", *fields, *([] if protected.is_mounted_by_clients else protected.stating("/other"))).status == 404


def test_a_path_is_routed_as_it_was_sent(protected: Protected) -> None:
    for path in ("//api/vault", "/open//api/vault", "/open/../api/vault", "/open/%2e%2e/api/vault", "/open;/api/vault", "/api/vault/", "/api/vault#/open/api/vault"):
        answer = protected.send(path)
        assert answer.status in (400, 401) and b"gold" not in answer.body, (path, answer)

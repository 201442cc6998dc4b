"""Logs in, reads and writes notes, and shows that a thief of the token gets nothing: `python client.py`."""

import os
import sys

import httpx

from keybound import Client, Credentials, Key, MemoryStore, SessionRequest
from keybound.httpx import DPoPAuth, demand_of

NOTES_URL = os.environ.get("NOTES_URL", "http://127.0.0.1:8000")
NOTES_ISSUER = os.environ.get("NOTES_ISSUER", "http://127.0.0.1:9449")


def main() -> None:
    """Shows one line for each step."""
    # `FileStore("folder")` keeps sessions and keys for the next run.
    client = Client(
        credentials=[Credentials(issuer=NOTES_ISSUER, client_id="keybound-demo")], store=MemoryStore(), allow_loopback=True
    )
    found = client.discover(f"{NOTES_URL}/notes")
    print("protected by", found.issuer)
    session = client.device(
        SessionRequest(at=found, scope="read write"),
        show=lambda login: print("log in at", login.verification_uri, "with the code", login.user_code),
    )
    with httpx.Client(base_url=NOTES_URL, auth=DPoPAuth(client, session)) as http:
        written = http.post("/notes", json={"text": "bound tokens are worthless to a thief"})
        print("written", written.status_code, written.json())
        told = http.get("/notes").json()
        print("read", told["notes"], "with the key", told["key"][:6] + "…")

    # A thief has the token, and a key of its own.
    token = session.danger_access_token() or ""
    bearer = httpx.get(f"{NOTES_URL}/notes", headers={"Authorization": f"Bearer {token}"})
    print("a thief with the token:", bearer.status_code)
    thief = DPoPAuth.for_token(token, key=Key.generate(), resource=NOTES_URL, allow_loopback=True)
    refused = httpx.get(f"{NOTES_URL}/notes", auth=thief)
    print("a thief with another key:", refused.status_code, "needs", demand_of(refused))
    if (bearer.status_code, refused.status_code) != (401, 401):
        sys.exit("the thief got in")


if __name__ == "__main__":
    main()

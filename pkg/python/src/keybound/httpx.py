"""Calls to protected APIs by httpx: token, proofs, nonces, retries and refresh are done for you.

    import httpx
    from keybound import Client, FileStore
    from keybound.httpx import DPoPAuth

    client = Client(store=FileStore("sessions"))
    session = client.open("work")
    with httpx.Client(auth=DPoPAuth(client, session)) as http:
        print(http.get("https://api.example.com/items").json())

The same object serves `httpx.AsyncClient`. The token goes to targets under the session's resource alone; redirects within the origin are
followed with new proofs, and one to elsewhere is the answer, as long as the client has `follow_redirects=False`, which is its default.

`keybound.httpx2` has the same for httpx2, a fork of httpx with types of its own.
"""

from __future__ import annotations

import httpx

from ._httpx import Auth, AwaitedTransport, BlockingTransport, demand_of, ignored_challenge_of

__all__ = ["AsyncHttpxTransport", "DPoPAuth", "HttpxTransport", "demand_of", "ignored_challenge_of"]


class DPoPAuth(Auth, httpx.Auth):
    """Sends requests in a session: with its token and a fresh proof each, one more attempt where a nonce, a newer token or the server's
    clock makes the difference, and a refresh when it is time, once for all tasks and processes.

    A body that is a stream is sent once: what the server wants is found out by a `HEAD` request before.
    """

    _library = httpx


class HttpxTransport(BlockingTransport):
    """Sends the requests of a :class:`~keybound.Client` by httpx: its proxies, certificates and limits."""

    _library = httpx

    def __init__(self, client: httpx.Client | None = None) -> None:
        """Sends by `client`, which follows no redirects here. Its `auth`, `headers`, `params` and `cookies` are for its own requests alone."""
        super().__init__(client)


class AsyncHttpxTransport(AwaitedTransport):
    """The same for an :class:`~keybound.AsyncClient`."""

    _library = httpx

    def __init__(self, client: httpx.AsyncClient | None = None) -> None:
        """Sends by `client`, which follows no redirects here. Its `auth`, `headers`, `params` and `cookies` are for its own requests alone."""
        super().__init__(client)

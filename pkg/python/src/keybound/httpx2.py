"""Calls to protected APIs by httpx2: token, proofs, nonces, retries and refresh are done for you.

    import httpx2
    from keybound import Client, FileStore
    from keybound.httpx2 import DPoPAuth

    client = Client(store=FileStore("sessions"))
    session = client.open("work")
    with httpx2.Client(auth=DPoPAuth(client, session)) as http:
        print(http.get("https://api.example.com/items").json())

The same object serves `httpx2.AsyncClient`. The token goes to targets under the session's resource alone; redirects within the origin are
followed with new proofs, and one to elsewhere is the answer, as long as the client has `follow_redirects=False`, which is its default.

`keybound.httpx` has the same for httpx, of which httpx2 is a fork with types of its own.
"""

from __future__ import annotations

import httpx2

from ._httpx import Auth, AwaitedTransport, BlockingTransport, demand_of, ignored_challenge_of

__all__ = ["AsyncHttpxTransport", "DPoPAuth", "HttpxTransport", "demand_of", "ignored_challenge_of"]


class DPoPAuth(Auth, httpx2.Auth):
    """Sends requests in a session: with its token and a fresh proof each, one more attempt where a nonce, a newer token or the server's
    clock makes the difference, and a refresh when it is time, once for all tasks and processes.

    A body that is a stream is sent once: what the server wants is found out by a `HEAD` request before.
    """

    _library = httpx2


class HttpxTransport(BlockingTransport):
    """Sends the requests of a :class:`~keybound.Client` by httpx2: its proxies, certificates and limits."""

    _library = httpx2

    def __init__(self, client: httpx2.Client | None = None) -> None:
        """Sends by `client`, which follows no redirects here. Its `auth`, `headers`, `params` and `cookies` are for its own requests alone."""
        super().__init__(client)


class AsyncHttpxTransport(AwaitedTransport):
    """The same for an :class:`~keybound.AsyncClient`."""

    _library = httpx2

    def __init__(self, client: httpx2.AsyncClient | None = None) -> None:
        """Sends by `client`, which follows no redirects here. Its `auth`, `headers`, `params` and `cookies` are for its own requests alone."""
        super().__init__(client)

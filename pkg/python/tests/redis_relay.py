"""A way to a server that is long, slow or broken off, for tests."""

from __future__ import annotations

import contextlib
import socket
import threading
import time


class Relay:
    """Passes bytes on to a server at another port, and its replies back after `delay` seconds, `piece` bytes at a time if that is set."""

    def __init__(self, port: int) -> None:
        self.delay, self.piece = 0.0, 0
        self._server = port
        self._ways: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Breaks off all connections."""
        ways, self._ways = self._ways, []
        for way in ways:
            with contextlib.suppress(OSError):
                way.shutdown(socket.SHUT_RDWR)
            way.close()

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server))
                self._ways += [client, server]
                for way in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._pass, args=way, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, is_reply: bool) -> None:
        with contextlib.suppress(OSError):
            while given := source.recv(65536):
                if not is_reply:
                    target.sendall(given)
                    continue
                piece = self.piece or len(given)
                for place in range(0, len(given), piece):
                    time.sleep(self.delay)
                    target.sendall(given[place : place + piece])
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

"""Whether this process is the only one that serves an application: what can be seen of it, and what it has to be told."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Final

from .errors import Misuse

if TYPE_CHECKING:
    from .policy import Policy

__all__ = ["FORKED", "check_alone", "check_nonce_keys"]

FORKED: Final = (
    "this process was forked after the application had made its memory store, which the other process has as well; let the workers "
    "make the application (gunicorn without --preload), or give store= one that they share"
)

MAY_BE_SEVERAL: Final = (
    "this process was started by a server or another process that may have started several, and each would remember proofs for itself, "
    "so that one proof is good once for each of them; if there is one, write workers=1 among the options of the application, whatever "
    "the command line says; if there are several, give store= one that they share and nonce keys with it"
)

CONFIGURED_KEYS: Final = (
    "nonce keys are configured, which several processes need, and proofs are remembered in the memory of this one, so that one proof "
    "is good once for each of them; give store= one that they share, or, if there is one process, say so by workers=1"
)

#: Options of servers that say how many processes there are; in gunicorn, others without a value may stand before a short one: `-Rw2`.
COUNT: Final = re.compile(r"(?:^|\s)(?:--workers|--processes|-[DR]*w)[= ]?(\d+)")
SERVERS: Final = ("uvicorn", "gunicorn", "hypercorn", "granian", "fastapi", "uwsgi")
VARIABLES: Final = ("WEB_CONCURRENCY", "UVICORN_WORKERS", "GRANIAN_WORKERS")


def check_alone(stated: int | None, policy: Policy | None) -> None:
    """Raises :class:`Misuse` unless this process is the only one, by what can be seen or by what is `stated`."""
    if stated is not None and (isinstance(stated, bool) or not isinstance(stated, int) or stated < 1):
        raise Misuse("wrong_type", "workers is the number of processes that serve the application: a whole number, at least 1")
    # What the command line orders happens, whatever the application says. Variables may be meant for another server.
    count = _on_command_line() or stated or _in_environment()
    if count is not None and count > 1:
        raise Misuse(
            "several_workers",
            f"{count} worker processes would each remember proofs for themselves, so that one proof is good once for each of "
            "them; give store= one that they share, or run one worker",
        )
    if stated is None and _is_child() and not _is_reloaded():
        raise Misuse("several_workers", MAY_BE_SEVERAL)
    if _is_preloaded():
        raise Misuse("forked", FORKED)
    check_nonce_keys(stated, policy)


def check_nonce_keys(stated: int | None, policy: Policy | None) -> None:
    """Raises :class:`Misuse` for nonce keys beside a store in memory, unless it is stated that one process has both."""
    if stated != 1 and policy is not None and policy.nonces and policy.nonces.keys:
        raise Misuse("several_workers", CONFIGURED_KEYS)


def _program() -> str:
    """The last two names in the path of the program."""
    # `python -m uvicorn` has its folder there, and `__main__.py` as its file.
    return "/".join((sys.argv[0] if sys.argv else "").replace("\\", "/").lower().split("/")[-2:])


def _server() -> str | None:
    """The server whose own program this is: not one that has its name in a folder's or in its own."""
    folder, _, name = _program().rpartition("/")
    named = (folder if name == "__main__.py" else name).removesuffix(".exe").removesuffix("_cli")
    return named if named in SERVERS else None


def _arguments() -> str:
    return " ".join(sys.argv[1:])


def _on_command_line() -> int | None:
    """The number of processes that the server's command line orders, if it is more than one.

    That it says one proves nothing: configuration files and hooks of the server may say another.
    """
    if not any(name in _program() for name in SERVERS):
        return None
    found = COUNT.findall(_arguments())
    if _server() == "uwsgi":
        found += re.findall(r"(?:^|\s)-p[= ]?(\d+)", _arguments())
    if _server() == "gunicorn" and not found:
        found = COUNT.findall(os.environ.get("GUNICORN_CMD_ARGS", ""))
    count = int(found[-1]) if found else None
    return count if count is not None and count > 1 else None


def _in_environment() -> int | None:
    """The number that variables say, if it is more than one: with 1, a configuration file may still say another."""
    found = [int(value) for value in (os.environ.get(name, "") for name in VARIABLES) if value.isdigit()]
    # uWSGI shows its configuration to the interpreter that it runs.
    numproc = getattr(sys.modules.get("uwsgi"), "numproc", None)
    found += [numproc] if isinstance(numproc, int) else []
    return max(found) if found and max(found) > 1 else None


def _is_child() -> bool:
    """Whether something that starts processes started this one."""
    import multiprocessing

    return (
        multiprocessing.parent_process() is not None
        or "SERVER_SOFTWARE" in os.environ
        or any(name.startswith("GUNICORN_") for name in os.environ)
        or _server() == "hypercorn"
    )


def _is_reloaded() -> bool:
    """Whether what started this process starts one at a time, to load it again when a file changes."""
    arguments = sys.argv[1:]
    match _server():
        case "uvicorn":
            return "--reload" in arguments
        case "fastapi":
            return arguments[:1] == ["dev"] or "--reload" in arguments
        case _:
            return False


def _is_preloaded() -> bool:
    """Whether gunicorn makes the application in its master process, which forks workers afterwards."""
    frame = sys._getframe() if "gunicorn.arbiter" in sys.modules else None
    while frame is not None:
        if frame.f_code.co_name == "setup" and frame.f_globals.get("__name__") == "gunicorn.arbiter":
            return True
        frame = frame.f_back
    return False

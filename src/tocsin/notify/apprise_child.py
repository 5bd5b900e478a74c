"""The process in which Apprise runs, for one message: a JSON object on standard input, another on standard output.

It is started by `channels/apprise.py` with nothing in its arguments and nothing of ours in its environment. Nothing that
Apprise prints leaves it but what the answer names.
"""

import io
import ipaddress
import json
import logging
import socket
import sys
from typing import Any

PROCESSES = ("subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "pty.spawn")
CONNECTIONS = ("socket.connect", "socket.sendto", "socket.sendmsg")
MAX_SAID = 20
NO_PROCESS = "the service starts a program, and may not do that here"
PRIVATE = "the address leads to a private network, and those are not allowed here"
refused: list[str] = []  # what the guards have stopped


class Refused(OSError):
    """What the guard raises; an `OSError`, so that libraries take it for a connection that failed."""


def guard(event: str, _args: tuple[Any, ...]) -> None:
    """Sees what this process does before it is done (PEP 578); cannot be taken away again."""
    if event in PROCESSES:
        refused.append(NO_PROCESS)
        raise Refused(NO_PROCESS)


def guard_private(event: str, args: tuple[Any, ...]) -> None:
    """The very address that is connected to, whatever a name or a redirect has led to."""
    if event in CONNECTIONS and not _is_public(args):
        refused.append(PRIVATE)
        raise Refused(PRIVATE)


def _is_public(args: tuple[Any, ...]) -> bool:
    where, address = args[0], args[1] if len(args) > 1 else None
    if where.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    if where.type & socket.SOCK_DGRAM and address is not None and address[1] == 53:
        return True  # a resolver is often on this network
    if address is None:
        return True  # sent over a connection that was looked at
    ip = ipaddress.ip_address(str(address[0]).partition("%")[0])
    inner = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None) or ip
    return bool(inner.is_global and not inner.is_multicast)


def send(asked: dict[str, Any]) -> dict[str, Any]:
    """Sends one message and says how it went."""
    from apprise import Apprise, AppriseAsset  # noqa: PLC0415 - behind the guard

    asset = AppriseAsset(app_id="Tocsin", app_desc="Tocsin", secure_logging=True, async_mode=False)
    service = Apprise(asset=asset)
    if not service.add(asked["address"]):
        return {"readable": False, "taken": False, "refused": None, "said": []}
    said: list[str] = []
    logging.getLogger("apprise").setLevel(logging.DEBUG)
    result = service.notify(
        body=asked["body"],
        title=asked["title"],
        notify_type=asked["type"],
        body_format="text",
        log_level=logging.DEBUG,
        log_callback=lambda entry, _service: said.append(str(getattr(entry, "message", entry))),
    )
    return {"readable": True, "taken": bool(result), "refused": refused[0] if refused else None, "said": said[-MAX_SAID:]}


def main() -> None:
    """One message."""
    asked = json.load(sys.stdin)
    answers, sys.stdout, sys.stderr = sys.stdout, io.StringIO(), io.StringIO()
    sys.addaudithook(guard)
    if not asked["private"]:
        sys.addaudithook(guard_private)
    json.dump(send(asked), answers)
    answers.flush()


if __name__ == "__main__":
    main()

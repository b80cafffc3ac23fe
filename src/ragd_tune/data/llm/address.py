"""Where an endpoint is: documents go to this machine only, unless the user says otherwise."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from ragd_tune.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A checked address: ``ip`` is what is connected to, whatever the name resolves to later."""

    scheme: str
    host: str
    ip: str
    port: int
    path: str


def check(url: str, *, allow_remote: bool = False) -> Address:
    """Return the address of ``url``.

    :raises UsageError: it is no http(s) address, it cannot be resolved, or it is on another machine
        and ``allow_remote`` is not given.
    """
    parts = urlsplit(url if "//" in url else f"http://{url}")
    host = parts.hostname
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError(f"{url!r} is no address", mend="write http://localhost:11434/v1")
    if parts.username or parts.password:
        mend = "put the key into the environment variable RAGD_TUNE_API_KEY"
        raise UsageError("an address with a password in it ends up in logs", mend=mend)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        raise UsageError(f"{host}: cannot be found ({error})", mend="check the address") from error
    ips = [str(one[4][0]) for one in found]
    if not allow_remote and not all(ipaddress.ip_address(ip).is_loopback for ip in ips):
        raise UsageError(
            f"{host} is not this machine, and your documents would be sent there",
            mend="give --allow-remote if that is what you want",
        )
    path = parts.path.rstrip("/")
    return Address(scheme=parts.scheme, host=host, ip=ips[0], port=port, path=path)

"""The addresses at which a guest's screen and consoles can be reached."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from vmtui.backends.libvirt.around.settings import Settings
from vmtui.backends.libvirt.configuring.elements import Element

_SERVERS = ("vnc", "spice", "rdp")
_LISTENING = ("tcp", "udp")
_USUAL = "127.0.0.1"


def screens(root: Element, settings: Settings | None) -> list[str]:
    """Of a domain's screens; none of what is a socket, or no server at all."""
    return [door for one in root.iterfind("devices/graphics") for door in _doors(one, settings)]


def _doors(graphics: Element, settings: Settings | None) -> Iterator[str]:
    kind = graphics.get("type", "")
    if kind not in _SERVERS or graphics.get("socket"):
        return
    usual = (settings.text(f"{kind}_listen") if settings else "") or _USUAL
    for listen in graphics.findall("listen"):
        if listen.get("type") == "network":
            yield listen.get("address") or f"network {listen.get('network', '')}"
        elif listen.get("type", "address") == "address":
            yield listen.get("address") or usual
    if graphics.find("listen") is None:
        yield graphics.get("listen") or usual


def consoles(root: Element) -> list[str]:
    """Of a domain's serial ports, consoles and channels that others can connect to."""
    return [
        source.get("host") or "0.0.0.0"  # noqa: S104 (what QEMU makes of none)
        for tag in ("serial", "console", "parallel", "channel")
        for element in root.iterfind(f"devices/{tag}")
        if element.get("type") in _LISTENING
        for source in element.iterfind("source")
        if source.get("mode") == "bind"
    ]


def is_loopback(address: str) -> bool:
    """Whether only the host itself can reach it."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"

"""Screens and keyboards of domains, over connections that nothing else waits for."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import libvirt

from vmtui.backends.libvirt.bridge import Bridge
from vmtui.backends.libvirt.changes import Changes, Work
from vmtui.backends.libvirt.domain_facts import parse
from vmtui.backends.libvirt.listing import lookup, state_of
from vmtui.backends.ways_in import Viewer
from vmtui.errors import StateError, UnsupportedError
from vmtui.keyboards import KEYS, Chord
from vmtui.model import State, VMId
from vmtui.picture import Picture, decoded

T = TypeVar("T")

ANSWER_TIMEOUT_S = 10.0
_READ_BYTES = 256 * 1024
_ANYWHERE = ("0.0.0.0", "::", "*")  # noqa: S104 (read here, never listened on)


class Screens:
    """Those of all domains of one connection."""

    def __init__(self, connect: Callable[[], Awaitable[Bridge]]) -> None:
        # A picture may take long to come over a network; keys do not wait for it.
        self._pictures = Changes(connect)
        self._keys = Changes(connect)
        self._drawing: defaultdict[VMId, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def picture(self, vm: VMId, name: str) -> Picture:
        """libvirt's screenshot. Those who ask at the same time take turns."""
        async with self._drawing[vm]:
            what = f"show the screen of {name}"
            data = await self._pictures.over_own(_asked(what, _screenshot, vm))
        return await asyncio.to_thread(decoded, data)

    async def press(self, vm: VMId, name: str, keys: Chord, hold_ms: int) -> None:
        """Hold the keys down together; returns when they were let go."""
        codes = [KEYS[key] for key in keys]
        await self._keys.over_own(_asked(f"type to {name}", _send_keys, vm, codes, hold_ms))
        # QEMU waits after each key that goes down or up; libvirt does not wait for QEMU.
        await asyncio.sleep(2 * len(keys) * hold_ms / 1000)

    async def viewer(self, vm: VMId, name: str, uri: str) -> Viewer:
        """Where its VNC or SPICE server listens."""
        xml = await self._keys.over_own(_asked(f"view {name}", _running_xml, vm))
        return viewer_of(xml, uri, name)

    async def close(self) -> None:
        """Let go of the connections."""
        await asyncio.gather(self._pictures.close(), self._keys.close())


def _asked(what: str, function: Callable[..., T], *args: Any) -> Work[T]:
    return lambda bridge: bridge.call(what, function, *args, timeout_s=ANSWER_TIMEOUT_S)


def _screenshot(connection: libvirt.virConnect, vm: VMId) -> bytes:
    domain = lookup(connection, vm)
    _check_active(domain)
    stream = connection.newStream()
    try:
        take: Any = domain.screenshot
        take(stream, 0)
        pieces = []
        while data := _received(stream):
            pieces.append(data)
    except BaseException:
        stream.abort()
        raise
    stream.finish()
    return b"".join(pieces)


def _received(stream: libvirt.virStream) -> bytes:
    receive: Any = stream.recv
    data: bytes = receive(_READ_BYTES)
    return data


def _send_keys(connection: libvirt.virConnect, vm: VMId, codes: list[int], hold_ms: int) -> None:
    domain = lookup(connection, vm)
    _check_active(domain)
    if state_of(domain) is State.PAUSED:
        name = str(domain.name())
        raise StateError(
            f"{name} takes no input", why="it is paused", hint=f"Let it go on: vmtui resume {name}"
        )
    domain.sendKey(libvirt.VIR_KEYCODE_SET_LINUX, hold_ms, codes, len(codes), 0)


def _running_xml(connection: libvirt.virConnect, vm: VMId) -> str:
    domain = lookup(connection, vm)
    _check_active(domain)
    return str(domain.XMLDesc(0))


def _check_active(domain: libvirt.virDomain) -> None:
    if not domain.isActive():
        name = str(domain.name())
        raise StateError(
            f"{name} shows nothing", why="it is off", hint=f"Start it: vmtui start {name}"
        )


def viewer_of(xml: str, uri: str, name: str) -> Viewer:
    """What a running domain's XML says of its graphics. Raises UnsupportedError."""
    root = parse(xml)
    for graphics in root.iterfind("devices/graphics") if root is not None else ():
        viewer = _viewer(graphics, uri)
        if viewer is not None:
            return replace(viewer, libvirt_uri=uri)
    raise UnsupportedError(
        f"nothing can view {name}",
        why="it has no VNC or SPICE server that listens",
        hint=f"Its serial console may do: vmtui console {name}",
    )


def _viewer(graphics: ET.Element, uri: str) -> Viewer | None:
    protocol = graphics.get("type", "")
    if protocol not in ("vnc", "spice"):
        return None
    parts = urlsplit(uri)
    over_ssh = parts.scheme.endswith(("+ssh", "+libssh", "+libssh2"))
    ssh = parts.netloc if over_ssh else ""
    listen = graphics.find("listen")
    socket = graphics.get("socket") or (listen.get("socket") if listen is not None else None)
    if socket:
        return Viewer(protocol, socket=socket, ssh=ssh)
    port = graphics.get("port", "")
    if not port.isdecimal() or port == "0":
        return None
    address = graphics.get("listen") or (listen.get("address") if listen is not None else None)
    if address in _ANYWHERE and not over_ssh and parts.hostname:
        return Viewer(protocol, host=parts.hostname, port=int(port))
    if not address or address in _ANYWHERE:
        address = "127.0.0.1"
    return Viewer(protocol, host=address, port=int(port), ssh=ssh)

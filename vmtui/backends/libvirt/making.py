"""A domain from its definition and its storage: all of it or nothing, also after a kill.

It is defined first, under a mark that says who is making it: its name is taken from then on, and
its definition tells which files are its own. A mark whose maker is gone is that of a leftover.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import libvirt

from vmtui.backends.kvm.process import boot_id
from vmtui.backends.kvm.procfs import start_ticks
from vmtui.backends.libvirt import metadata
from vmtui.backends.libvirt.bridge import Bridge
from vmtui.backends.libvirt.domain_xml import text_of
from vmtui.backends.libvirt.volumes import Volumes
from vmtui.errors import VmtuiError
from vmtui.model import VMId
from vmtui.whole import whole

DEFINE_TIMEOUT_S = 3600.0
"""To give up on a definition would leave a VM that appears later; keepalive tells a dead peer."""

_MARK_WORDS = 5

_ours: set[str] = set()
"""Marks of what did not fail here. They stay after the end: a definition that somebody read before
it still has one."""


async def make(
    bridge: Bridge,
    volumes: Volumes,
    domain: ET.Element,
    *,
    own: Sequence[str],
    fill: Callable[[], Awaitable[None]],
    test_driver: bool,
    autostart: bool = False,
) -> VMId:
    """Define `domain`, off, once `fill` has made its volumes; `own` are the names of those."""
    name, vm = domain.findtext("name") or "", domain.findtext("uuid") or ""
    final = text_of(domain)
    with marked(vm) as mark:
        metadata.write(domain, replace(metadata.read(domain), making=mark))
        try:
            await volumes.refuse_left_over(own)
            await _define(bridge, name, text_of(domain), test_driver=test_driver)
            await fill()
            if autostart:
                await whole(bridge.call(f"let {name} start by itself", _set_autostart, vm))
            await _define(bridge, name, final, test_driver=test_driver)
        except BaseException:
            await whole(_take_back(bridge, volumes, vm))
            raise
    return VMId(vm)


async def _define(bridge: Bridge, name: str, xml: str, *, test_driver: bool) -> None:
    flags = 0 if test_driver else libvirt.VIR_DOMAIN_DEFINE_VALIDATE

    def define(connection: libvirt.virConnect) -> None:
        connection.defineXMLFlags(xml, flags)

    await whole(bridge.call(f"create {name}", define, timeout_s=DEFINE_TIMEOUT_S))


def _set_autostart(connection: libvirt.virConnect, vm: str) -> None:
    connection.lookupByUUIDString(vm).setAutostart(1)


async def _take_back(bridge: Bridge, volumes: Volumes, vm: str) -> None:
    # That of the failure itself is told, not that of the cleaning. The volumes go first: while
    # the domain is there, a vmtui that comes later knows of them.
    with suppress(VmtuiError):
        await volumes.take_back()
        await bridge.call("clean up", _undefine, vm)


def _undefine(connection: libvirt.virConnect, vm: str) -> None:
    with suppress(libvirt.libvirtError):
        domain = connection.lookupByUUIDString(vm)
        try:
            domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
        except libvirt.libvirtError:  # a driver that knows no firmware knows no such flag
            domain.undefine()


@contextmanager
def marked(vm: str) -> Iterator[str]:
    """The mark of something that this process does to that VM; that of a leftover if it fails."""
    mark = _mark(vm)
    _ours.add(mark)
    try:
        yield mark
    except BaseException:
        _ours.discard(mark)
        raise


def _mark(vm: str) -> str:
    pid = os.getpid()
    return f"{_machine()} {boot_id()} {pid} {start_ticks(pid) or 0} {vm}"


def _machine() -> str:
    """This machine, or the container on it whose processes can be seen from here."""
    try:
        machine = Path("/etc/machine-id").read_text("ascii").strip()
    except (OSError, ValueError):
        machine = ""
    return f"{machine or socket.gethostname()}/{Path('/proc/self/ns/pid').readlink().name}"


def is_left_over(mark: str) -> bool:
    """Whether the maker is gone for sure; of one on another machine that is not known."""
    return _maker_lives(mark) is False


def is_being_made(mark: str) -> bool:
    """Whether the maker of a mark that was read just now is at it for sure."""
    return _maker_lives(mark) is True


def told(mark: str) -> str:
    """How a VM with that mark is, for people."""
    lives = _maker_lives(mark)
    if lives is None:
        return "it is being made on another machine, or that was interrupted"
    return "it is still being made" if lives else "its making was interrupted"


def _maker_lives(mark: str) -> bool | None:
    words = mark.split(" ")
    if len(words) != _MARK_WORDS or words[0] != _machine():
        return None
    _, boot, pid, ticks, _ = words
    if boot != boot_id():
        return False
    if not (pid.isdecimal() and ticks.isdecimal()):
        return None
    if int(pid) == os.getpid():
        return mark in _ours
    return start_ticks(int(pid)) == int(ticks)

"""A new domain: what the spec asks for, fitted to what the host offers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from uuid import uuid4
from xml.etree import ElementTree as ET

import libvirt

from vmtui.backends.base import Progress, ProgressSink
from vmtui.backends.libvirt import offers
from vmtui.backends.libvirt.bridge import Bridge
from vmtui.backends.libvirt.devices_xml import Card, Drive, Share
from vmtui.backends.libvirt.domain_xml import Parts, domain_element, text_of
from vmtui.backends.libvirt.in_use import give_variables, variables_of
from vmtui.backends.libvirt.layout import Layout, lay_out
from vmtui.backends.libvirt.making import make
from vmtui.backends.libvirt.offers import Host
from vmtui.backends.libvirt.places import Places
from vmtui.backends.libvirt.storage import free_bytes, planned_folder, pool
from vmtui.backends.libvirt.volumes import Volumes
from vmtui.errors import InputError
from vmtui.images.library import Library
from vmtui.model import Accel, Firmware, VMId
from vmtui.spec import BootKind, Limits, VMSpec

PROBING_TIMEOUT_S = 180.0
"""libvirt may have to probe QEMU first. Where /dev/kvm opens but does not work it does so anew for
every look at QEMU, some seconds each: a definition was seen to take 89 s."""

DEFAULT_ORDER = ("disk", "cdrom")
"""An empty disk does not boot, so the installer does; once there is a system, that boots."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What the host has for this VM."""

    host: Host
    folder: Path
    cards: tuple[Card, ...]
    shares: tuple[Share, ...]
    console_log: str | None
    variables: frozenset[str]  # of UEFI, that others have


async def create(
    bridge: Bridge,
    places: Places,
    spec: VMSpec,
    accel: Accel,
    progress: ProgressSink,
    *,
    library: Library,
) -> VMId:
    """Define the domain, off. Cancelled, failed or killed, nothing of it is left."""
    # Nobody removes the image before the new disk is seen to lean on it.
    async with library.held(spec.boot.image) if spec.boot.image else nullcontext():
        progress(Progress("looking at the host"))
        found = await _look(bridge, places, spec, accel, dry=False)
        volumes = Volumes(bridge, places)
        domain, layout = await _designed(spec, accel, places, library, found)

        async def fill() -> None:
            await layout.fill(volumes, progress)
            progress(Progress("defining"))

        try:
            return await make(
                bridge,
                volumes,
                domain,
                own=layout.own,
                fill=fill,
                test_driver=found.host.test_driver,
                autostart=spec.autostart,
            )
        except InputError as error:
            if "passt" in error.why:
                # There are builds that know passt and refuse it all the same.
                raise offers.no_forwards(error.why) from error
            raise


async def preview(
    bridge: Bridge, places: Places, spec: VMSpec, accel: Accel, *, library: Library
) -> str:
    """The definition that `create` would give to libvirt; only its ids are not yet those."""
    found = await _look(bridge, places, spec, accel, dry=True)
    domain, _ = await _designed(spec, accel, places, library, found)
    return text_of(domain)


async def limits(bridge: Bridge, places: Places, accel: Accel) -> Limits:
    """What a new VM has to fit into."""

    def look(connection: libvirt.virConnect) -> Limits:
        host = offers.look(connection, places, accel)
        return Limits(free_bytes=free_bytes(connection), missing=offers.missing(host))

    return await bridge.call("look at the host", look, timeout_s=PROBING_TIMEOUT_S)


async def _look(bridge: Bridge, places: Places, spec: VMSpec, accel: Accel, *, dry: bool) -> _Found:
    def look(connection: libvirt.virConnect) -> _Found:
        if not dry:
            offers.check_name(connection, spec.name)
            pool(connection, places)
        host = offers.look(connection, places, accel)
        offers.check(host, spec)
        logged = not host.test_driver and (dry or places.can_log())
        return _Found(
            host,
            planned_folder(connection, places),
            offers.cards(connection, host, spec, start=not dry),
            offers.shares(host, spec),
            places.console_log(spec.name) if logged else None,
            variables_of(connection, places) if spec.firmware is not Firmware.BIOS else frozenset(),
        )

    return await bridge.call(f"create {spec.name}", look, timeout_s=PROBING_TIMEOUT_S)


async def _designed(
    spec: VMSpec, accel: Accel, places: Places, library: Library, found: _Found
) -> tuple[ET.Element, Layout]:
    vm = str(uuid4())
    layout = await lay_out(spec, vm, places, library, found.folder)
    drives, cards = layout.drives, found.cards
    if layout.kernel is None:
        drives, cards = in_order(spec.boot_order or DEFAULT_ORDER, drives, cards, layout.seed)
    micro = spec.boot.kind is BootKind.MICRO
    parts = Parts(
        uuid=vm,
        accel=accel,
        arch=found.host.arch,
        test_driver=found.host.test_driver,
        drives=tuple(drives),
        cards=cards,
        shares=found.shares,
        kernel=layout.kernel,
        console_log=found.console_log,
        screen=spec.graphics if spec.graphics is not None else not micro,
        seed=layout.seed,
    )
    domain = domain_element(spec, parts)
    if spec.firmware is not Firmware.BIOS:
        give_variables(domain, places, found.variables)
    return domain, layout


def in_order(
    order: Sequence[str], drives: Sequence[Drive], cards: Sequence[Card], seed: str
) -> tuple[list[Drive], tuple[Card, ...]]:
    """The same with the numbers in which the firmware tries them; a seed boots nothing."""
    numbers = count(1)
    for kind in order:
        if kind == "network":
            cards = [replace(card, boot_order=next(numbers)) for card in cards]
            continue
        wanted = kind == "cdrom"
        drives = [
            replace(drive, boot_order=next(numbers))
            if drive.cdrom is wanted and drive.medium.path != seed
            else drive
            for drive in drives
        ]
    return list(drives), tuple(cards)

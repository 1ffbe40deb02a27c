"""A domain like another one that is off: its own ids, cards and volumes, the rest as it was."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4
from xml.etree import ElementTree as ET

import libvirt

from vmtui.backends.base import Progress, ProgressSink
from vmtui.backends.libvirt import metadata, offers
from vmtui.backends.libvirt.bridge import Bridge
from vmtui.backends.libvirt.clone_xml import Copy, Design, Wish, designed
from vmtui.backends.libvirt.domain_facts import parse
from vmtui.backends.libvirt.domain_xml import text_of
from vmtui.backends.libvirt.in_use import give_variables, variables_of
from vmtui.backends.libvirt.listing import lookup, state_of
from vmtui.backends.libvirt.making import make, told
from vmtui.backends.libvirt.places import Places
from vmtui.backends.libvirt.storage import planned_folder, pool
from vmtui.backends.libvirt.volumes import Volumes
from vmtui.errors import OperationError, StateError, VmtuiError
from vmtui.images.seed import seed
from vmtui.model import State, VMId
from vmtui.whole import whole


@dataclass(frozen=True, slots=True)
class _Source:
    domain: ET.Element
    name: str
    folder: Path
    test_driver: bool
    variables: frozenset[str]  # of UEFI, that there are


async def clone(
    bridge: Bridge, places: Places, vm: VMId, wish: Wish, progress: ProgressSink
) -> VMId:
    """Define the clone, off. Cancelled, failed or killed, nothing of it is left."""
    source = await bridge.call(f"clone to {wish.name}", _look, places, vm, wish)
    new = str(uuid4())
    design = designed(
        source.domain,
        wish,
        new,
        source.folder,
        console_log=places.console_log(wish.name),
        free_port=offers.free_port if places.local else None,
    )
    give_variables(design.domain, places, source.variables)
    volumes = Volumes(bridge, places)
    key = _Key(bridge, source.domain, design.domain)

    async def fill() -> None:
        for copy in design.copies:
            await _copy(volumes, copy, source.name, progress)
        if design.seed and design.cloud_init is not None:
            await _seed(volumes, design, wish, new, progress)
        await bridge.call(f"look at {source.name}", _check_off, vm)
        await key.make()
        for text, stage in _made_anew(design.domain):
            progress(Progress(text, stage=stage))

    try:
        own, fake = design.own, source.test_driver
        return await make(bridge, volumes, design.domain, own=own, fill=fill, test_driver=fake)
    except BaseException:
        await key.take_back()
        raise


class _Key:
    """What the state of a clone's TPM is encrypted with, if that of the other one is."""

    def __init__(self, bridge: Bridge, source: ET.Element, clone: ET.Element) -> None:
        self._bridge = bridge
        self._source, self._clone = source, clone
        self._made = ""

    async def make(self) -> None:
        if self._clone.find("devices/tpm/backend/encryption") is not None:
            self._made = await whole(self._bridge.call("make the TPM's key", self._have))

    def _have(self, connection: libvirt.virConnect) -> str:
        # lxml takes its time.
        from vmtui.backends.libvirt.configuring.elements import parsed  # noqa: PLC0415
        from vmtui.backends.libvirt.configuring.secrets import have_secret  # noqa: PLC0415

        before, after = (parsed(text_of(one)) for one in (self._source, self._clone))
        return have_secret(connection, before, after)

    async def take_back(self) -> None:
        if self._made:
            with suppress(VmtuiError):
                await whole(self._bridge.call("clean up", self._forget))

    def _forget(self, connection: libvirt.virConnect) -> None:
        from vmtui.backends.libvirt.configuring.secrets import forget_secret  # noqa: PLC0415

        forget_secret(connection, self._made)


def _look(connection: libvirt.virConnect, places: Places, vm: VMId, wish: Wish) -> _Source:
    offers.check_name(connection, wish.name)
    _check_off(connection, vm)
    domain = lookup(connection, vm)
    # With its secrets: a clone's screen keeps the password that the other one's has.
    flags = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
    root = parse(str(domain.XMLDesc(flags)))
    if root is None:
        raise OperationError(f"the definition of {domain.name()} can't be read")
    mark = metadata.read(root).making
    if mark:
        raise StateError(f"can't clone {domain.name()}", why=told(mark))
    pool(connection, places)
    test_driver = str(connection.getType()).upper() == "TEST"
    uefi = root.find("os[@firmware='efi']") is not None or root.find("os/nvram") is not None
    return _Source(
        root,
        str(domain.name()),
        planned_folder(connection, places),
        test_driver,
        variables_of(connection, places) if uefi else frozenset(),
    )


def _check_off(connection: libvirt.virConnect, vm: VMId) -> None:
    domain = lookup(connection, vm)
    state = state_of(domain)
    if state is not State.OFF:
        raise StateError(
            f"can't clone {domain.name()}",
            why=f"it is {state.value}",
            hint=f"Shut it down first: vmtui shutdown {domain.name()}",
        )


async def _copy(volumes: Volumes, copy: Copy, name: str, progress: ProgressSink) -> None:
    if copy.linked:
        progress(Progress(f"linking {copy.name} to the disk of {name}", stage="disk"))
        await volumes.overlay(copy.name, copy.source, None)
    else:
        progress(Progress(f"copying a disk of {name}", stage="disk"))
        await volumes.copy(copy.name, copy.source.path, _format_of(copy))


def _format_of(copy: Copy) -> str:
    return "raw" if copy.name.endswith(".iso") else "qcow2"


async def _seed(
    volumes: Volumes, design: Design, wish: Wish, new: str, progress: ProgressSink
) -> None:
    progress(Progress("making the seed for cloud-init", stage="seed"))
    cloud, own = design.cloud_init, metadata.read(design.domain)
    assert cloud is not None
    data = await asyncio.to_thread(
        seed,
        cloud,
        vm_name=wish.name,
        instance_id=new,
        image_user="" if cloud.user else own.ssh_user,
    )
    await volumes.content(design.seed, data)


def _made_anew(domain: ET.Element) -> Iterator[tuple[str, str]]:
    if domain.find("os[@firmware='efi']") is not None or domain.find("os/nvram") is not None:
        yield "its UEFI variables are made anew when it starts", "firmware"
    if domain.find("devices/tpm") is not None:
        yield "its TPM is a new one, without the other's keys", "TPM"

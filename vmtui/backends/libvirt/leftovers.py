"""VMs that nobody wants any more: half-made ones, and throwaway ones that are off. They go."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import libvirt

from vmtui.backends.libvirt import belongings, domain_facts, metadata
from vmtui.backends.libvirt import delete as deletion
from vmtui.backends.libvirt.changes import Changes
from vmtui.backends.libvirt.domain_facts import Definition
from vmtui.backends.libvirt.layout import image_of
from vmtui.backends.libvirt.listing import lookup, state_of, vm_id
from vmtui.backends.libvirt.making import is_left_over
from vmtui.backends.libvirt.metadata import Own
from vmtui.backends.libvirt.places import Places
from vmtui.images.library import Library
from vmtui.model import VM, VMId

TIMEOUT_S = 120.0


class Leftovers:
    """Removes them in the background; what something else is done to is left to that."""

    def __init__(
        self, changes: Changes, places: Places, library: Library, *, read_only: bool
    ) -> None:
        self._changes = changes
        self._places = places
        self._library = library
        self._read_only = read_only
        self._removing: dict[VMId, asyncio.Task[None]] = {}
        self._tried: set[VMId] = set()

    def found(self, vm: VM) -> None:
        """One was seen: it goes, unless nothing may be changed here, or that was tried before."""
        if self._read_only or vm.id in self._tried or self._changes.busy(vm.id):
            return
        self._tried.add(vm.id)
        self._removing[vm.id] = task = self._changes.start(
            vm.id,
            "removal",
            lambda bridge: bridge.call(
                f"remove {vm.name}", remove, self._places, self._library, vm.id, timeout_s=TIMEOUT_S
            ),
        )
        task.add_done_callback(lambda _: self._removing.pop(vm.id, None))

    async def gone(self) -> None:
        """Wait for those that are being removed."""
        await asyncio.gather(*self._removing.values(), return_exceptions=True)


def remove(connection: libvirt.virConnect, places: Places, library: Library, vm: VMId) -> None:
    """Delete it if it is still a leftover, with what was made for it in the pool."""
    domain = lookup(connection, vm)
    definition = stored(domain)
    if definition.own.coming:
        from vmtui.backends.libvirt.configuring import coming  # noqa: PLC0415 (lxml takes its time)

        coming.remove(connection, places, vm)
    if state_of(domain).active or not _is_leftover(definition):
        return
    plan = belongings.plan(connection, places, vm)
    deletion.delete(connection, places, plan, files_first=True)
    for path in definition.backing if definition.own.making else ():
        image = library.find(image_of(path, library.root) or "")
        if image is not None:
            deletion.remove_partial(connection, places, path, image.path.stat().st_size)


def _is_leftover(definition: Definition) -> bool:
    own = definition.own
    return (own.throwaway and own.started) or (bool(own.making) and is_left_over(own.making))


def stored(domain: libvirt.virDomain) -> Definition:
    """What it is when it is off."""
    xml = str(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    return domain_facts.read(vm_id(domain), str(domain.name()), xml)


def note_started(domain: libvirt.virDomain, own: Own) -> None:
    """A throwaway VM runs: once it is off, it goes, whoever sees it then."""
    domain.setMetadata(
        libvirt.VIR_DOMAIN_METADATA_ELEMENT,
        metadata.text(replace(own, started=True)),
        metadata.PREFIX,
        metadata.NAMESPACE,
        libvirt.VIR_DOMAIN_AFFECT_LIVE | libvirt.VIR_DOMAIN_AFFECT_CONFIG,
    )

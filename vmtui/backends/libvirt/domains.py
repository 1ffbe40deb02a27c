"""A connection's domains as they are shown: definitions, states and addresses put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from vmtui.backends.libvirt import listing
from vmtui.backends.libvirt.addresses import Addresses
from vmtui.backends.libvirt.bridge import Bridge
from vmtui.backends.libvirt.definitions import Definitions
from vmtui.backends.libvirt.domain_facts import Definition
from vmtui.backends.libvirt.layout import image_of
from vmtui.backends.libvirt.listing import Seen
from vmtui.backends.libvirt.making import is_left_over, told
from vmtui.backends.libvirt.places import Places
from vmtui.model import VM, VMId


class Domains:
    """What `Backend.vms` and `vm` tell; `on_leftover` is called with each that should go."""

    def __init__(
        self,
        bridge: Bridge,
        places: Places,
        addresses: Addresses,
        on_leftover: Callable[[VM], None],
    ) -> None:
        self.definitions = Definitions()
        self._bridge = bridge
        self._places = places
        self._addresses = addresses
        self._on_leftover = on_leftover

    async def all(self) -> Sequence[VM]:
        """All of them: a few calls, and one more for each that changed."""
        seen = await self._bridge.call("list the VMs", listing.list_all)
        definitions = await self.definitions.all_of(self._bridge, seen)
        leases = (
            await self._bridge.call("list the addresses", listing.leases)
            if listing.on_networks(definitions)
            else {}
        )
        pairs = list(zip(seen, definitions, strict=True))
        vms = await self._bridge.call(
            "list the VMs",
            lambda _: [listing.described(s, d, self._places, leases) for s, d in pairs],
        )
        return [self._finished(vm, d) for vm, d in zip(vms, definitions, strict=True)]

    async def one(self, vm: VMId) -> VM:
        """One of them. Raises NoSuchVMError."""
        seen, definition = await self.look(vm)
        networked = seen.state.active and listing.on_networks([definition])
        leases = await self._bridge.call("list the addresses", listing.leases) if networked else {}
        described = await self._bridge.call(
            "look at the VM", lambda _: listing.described(seen, definition, self._places, leases)
        )
        return self._finished(described, definition)

    async def look(self, vm: VMId) -> tuple[Seen, Definition]:
        """Its state and its definition. Raises NoSuchVMError."""
        seen = await self._bridge.call("look at the VM", listing.see, vm)
        return seen, await self.definitions.of(self._bridge, seen)

    async def leaning(self, vm: VMId) -> list[str]:
        """The names of other VMs whose disks lean on those of this one."""
        _, definition = await self.look(vm)
        disks = {disk.source for disk in definition.vm.disks}
        seen = await self._bridge.call("list the VMs", listing.list_all)
        others = await self._as_of_now([one for one in seen if one.id != vm])
        return sorted(other.vm.name for other in others if disks & set(other.backing))

    async def images_in_use(self, library: Path) -> Mapping[str, tuple[str, ...]]:
        """By an image of the library in that folder, the names of those with a file of it."""
        seen = await self._bridge.call("list the VMs", listing.list_all)
        users: dict[str, set[str]] = {}
        for one in await self._as_of_now(seen):
            sources = [disk.source for disk in one.vm.disks if disk.source]
            for path in (*sources, *one.backing, *one.boot_files):
                image = image_of(path, library)
                if image is not None:
                    users.setdefault(image, set()).add(one.vm.name)
        return {image: tuple(sorted(names)) for image, names in users.items()}

    async def _as_of_now(self, seen: Sequence[Seen]) -> Sequence[Definition]:
        """For what is decided by them: of many a change libvirt tells nothing."""
        for one in seen:
            self.definitions.outdated(one.id)
        return await self.definitions.all_of(self._bridge, seen)

    def _finished(self, vm: VM, definition: Definition) -> VM:
        own = definition.own
        gone = own.started if own.throwaway else bool(own.making) and is_left_over(own.making)
        halted = bool(own.coming) and is_left_over(own.coming_by)
        if halted or (gone and not vm.state.active):
            self._on_leftover(vm)
        if own.making:
            return replace(vm, problem=told(own.making))
        return self._addressed(vm, definition)

    def _addressed(self, vm: VM, definition: Definition) -> VM:
        """A guest's own word first, then a lease, then what the host's neighbours show."""
        if not vm.state.active:
            self._addresses.forget(vm.id)
            return vm
        known = self._addresses.of(definition, leased=bool(vm.addresses))
        if known.addresses and (known.from_guest or not vm.addresses):
            # A guest has addresses that lead nowhere from here, too: what has a lease goes first.
            by_lease = sorted(known.addresses, key=lambda address: address not in vm.addresses)
            return replace(vm, addresses=tuple(by_lease), address_origin=known.origin)
        if not vm.addresses and vm.ssh.host:
            return replace(vm, addresses=(vm.ssh.host,), address_origin="forward")
        return vm

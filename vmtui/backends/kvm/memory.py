"""Memory as QEMU is told of it: what backs it, what is plugged in, the balloon."""

from __future__ import annotations

from collections.abc import Iterator

from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.options import Options, options, written
from vmtui.units import KIB

BALLOON = "balloon0"
DIMM_SLOTS = 16
VIRTIO_MEM = "vmem0"
_MAIN = "memory"
_ROOM = f"{VIRTIO_MEM}-room"


def machine_options(definition: Definition, *, shared: bool) -> dict[str, str]:
    """What the machine is told of its memory."""
    found = {} if definition.merge else {"mem-merge": "off"}
    if shared or definition.huge_pages:
        found["memory-backend"] = _MAIN
    return found


def memory(definition: Definition, *, shared: bool) -> Iterator[str]:
    """All but the balloon; `shared`: with other processes, such as a virtiofsd."""
    size = {"size": f"{definition.memory_bytes // KIB}k"}
    room_bytes = definition.memory_max_bytes - definition.memory_bytes
    if room_bytes:
        size |= {"slots": str(DIMM_SLOTS), "maxmem": f"{definition.memory_max_bytes // KIB}k"}
    first, *rest = size.items()
    yield from ("-m", options("=".join(first), **dict(rest)))
    if shared or definition.huge_pages:
        main = backend(definition, _MAIN, definition.memory_bytes, shared=shared)
        yield from ("-object", written(_as_argument(main)))
    if room_bytes and definition.memory_hotplug == "virtio-mem":
        room = backend(definition, _ROOM, room_bytes, shared=shared)
        yield from ("-object", written(_as_argument({**room, "reserve": False})))
    elif definition.plugged_bytes:
        dimm = backend(definition, "dimm0-room", definition.plugged_bytes, shared=shared)
        yield from ("-object", written(_as_argument(dimm)))
        yield from ("-device", "pc-dimm,id=dimm0,memdev=dimm0-room")


def virtio_mem(definition: Definition) -> Iterator[str]:
    """The device that gives memory by and by. It comes last, to move no other from its slot."""
    room_bytes = definition.memory_max_bytes - definition.memory_bytes
    if room_bytes and definition.memory_hotplug == "virtio-mem":
        plugged = f"{definition.plugged_bytes // KIB}k"
        found = {"id": VIRTIO_MEM, "memdev": _ROOM, "requested-size": plugged}
        yield from ("-device", options("virtio-mem-pci", **found))


def backend(definition: Definition, name: str, size_bytes: int, *, shared: bool) -> Options:
    """Memory of the host for the guest, as QMP has it."""
    found: Options = {"qom-type": "memory-backend-memfd" if shared else "memory-backend-ram"}
    found |= {"id": name, "size": size_bytes}
    if shared:
        found["share"] = True
    if definition.huge_pages:
        # Anonymous memory can't be of a chosen kind of pages; memfd's can.
        found |= {"qom-type": "memory-backend-memfd", "hugetlb": True}
        found["hugetlbsize"] = {"2M": 2 * KIB**2, "1G": KIB**3}[definition.huge_pages]
    return found


def _as_argument(found: Options) -> Options:
    words = {True: "on", False: "off"}
    return {
        key: words[value]
        if isinstance(value, bool)
        else f"{value // KIB}k"
        if isinstance(value, int)
        else value
        for key, value in found.items()
    }


def balloon(definition: Definition) -> Iterator[str]:
    """The device by which memory is taken and given back."""
    if not definition.balloon:
        return
    found = {"id": BALLOON}
    if definition.free_page_reporting:
        found["free-page-reporting"] = "on"
    if definition.deflate_on_oom:
        found["deflate-on-oom"] = "on"
    yield from ("-device", options("virtio-balloon-pci", **found))

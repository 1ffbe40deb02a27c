"""Memory in a domain's definition: how much, how it is backed, and the balloon."""

from __future__ import annotations

from vmtui.backends.libvirt.configuring.cpu_knobs import most_cpus
from vmtui.backends.libvirt.configuring.elements import (
    Element,
    give_once,
    got,
    have,
    made,
    put,
    take_out,
    take_out_if_bare,
    under,
)
from vmtui.backends.libvirt.configuring.knobs import Knob, ranges, switch, whole, words
from vmtui.backends.libvirt.domain_facts import size_bytes
from vmtui.counters import GUEST_PERIOD_S
from vmtui.errors import InputError
from vmtui.hardware.values import Value
from vmtui.units import KIB, MIB

SLOTS = 16
BLOCK_BYTES = 2 * MIB

_PAGES = {"2M": "2048", "1G": "1048576"}
VIRTIO_MEM = "devices/memory[@model='virtio-mem']"
_ONLY_VIRTIO_MEM = "its memory modules are of fixed sizes: detach and attach them"


def size_of(element: Element | None) -> int | None:
    """What an element says in bytes."""
    if element is None:
        return None
    return size_bytes(element.text, element.get("unit"))


def set_size(element: Element, value_bytes: int) -> None:
    """Have an element say a size, in KiB."""
    element.text = str(value_bytes // KIB)
    element.set("unit", "KiB")


def _modules_bytes(root: Element) -> int:
    """What can be plugged in, or is: libvirt counts it as memory of the domain."""
    return sum(size_of(one) or 0 for one in root.iterfind("devices/memory/target/size"))


def ceiling_bytes(root: Element) -> int:
    """What the guest has with the balloon empty and nothing plugged in."""
    return (size_of(root.find("memory")) or 0) - _modules_bytes(root)


def _write_memory(root: Element, value: Value) -> None:
    wanted, before = whole(value), ceiling_bytes(root)
    set_size(have(root, "memory"), wanted + _modules_bytes(root))
    cells = root.findall("cpu/numa/cell")
    if cells:
        cells[0].set("memory", str(wanted // KIB))
        cells[0].set("unit", "KiB")
    current = root.find("currentMemory")
    was = size_of(current)
    if current is not None and was is not None and (was >= before or was > wanted):
        set_size(current, wanted)


def _several_cells(root: Element) -> str:
    several = len(root.findall("cpu/numa/cell")) > 1
    return "it is spread over NUMA nodes: edit the definition" if several else ""


def current_bytes(root: Element) -> int:
    """What the balloon leaves the guest from the start."""
    return size_of(root.find("currentMemory")) or ceiling_bytes(root)


def _write_current(root: Element, value: Value) -> None:
    set_size(have(root, "currentMemory"), whole(value))


# -- what can be plugged in ----------------------------------------------------------------------


def _read_max(root: Element) -> Value:
    return size_of(root.find("maxMemory"))


def _write_max(root: Element, value: Value) -> None:
    """virtio-mem of that size comes with it, empty: asking for more is then one request."""
    ceiling, plug = ceiling_bytes(root), root.find(VIRTIO_MEM)
    if value is None:
        if plug is not None:
            take_out(plug)
            set_size(have(root, "memory"), ceiling + _modules_bytes(root))
        take_out(root.find("maxMemory"))
        _drop_cell(root)
        return
    room = (whole(value) - ceiling) // BLOCK_BYTES * BLOCK_BYTES
    if room <= 0:
        raise InputError(
            "memory.max has to be more than the memory", hint="Without it, set it to none."
        )
    most = have(root, "maxMemory")
    set_size(most, whole(value))
    give_once(most, "slots", str(SLOTS))
    _have_cell(root, ceiling)
    if plug is None and root.find("devices/memory") is None:
        _put_virtio_mem(root, room)
    elif plug is not None:
        size = plug.find("target/size")
        if size is not None:
            set_size(size, room)
    set_size(have(root, "memory"), ceiling + _modules_bytes(root))


def _put_virtio_mem(root: Element, room_bytes: int) -> None:
    device = made("memory", {"model": "virtio-mem"})
    target = under(device, "target")
    for tag, size in (("size", room_bytes), ("block", BLOCK_BYTES), ("requested", 0)):
        set_size(under(target, tag), size)
        if tag == "size":
            under(target, "node").text = "0"
    put(have(root, "devices"), device)


def _have_cell(root: Element, memory_bytes: int) -> None:
    """Memory is plugged into a NUMA node, so there has to be one."""
    if root.find("cpu/numa") is None:
        cpus = ranges(range(most_cpus(root)))
        cell = {"id": "0", "cpus": cpus, "memory": str(memory_bytes // KIB), "unit": "KiB"}
        put(have(root, "cpu/numa"), made("cell", cell))


def _drop_cell(root: Element) -> None:
    """The node that came with what can be plugged in goes with it; one of somebody's own stays."""
    numa = root.find("cpu/numa")
    cells = numa.findall("*") if numa is not None else []
    plain = len(cells) == 1 and not len(cells[0]) and len(cells[0].attrib) == len(_OWN_CELL)
    if plain and root.find("numatune/memnode") is None:
        take_out(numa)
        take_out_if_bare(root.find("cpu"))


_OWN_CELL = ("id", "cpus", "memory", "unit")


def _read_plugged(root: Element) -> Value:
    if root.find("devices/memory") is None:
        return None
    asked = sum(size_of(one) or 0 for one in root.iterfind(f"{VIRTIO_MEM}/target/requested"))
    fixed = sum(
        size_of(one) or 0 for one in root.iterfind("devices/memory[@model='dimm']/target/size")
    )
    return asked + fixed or None


def _write_plugged(root: Element, value: Value) -> None:
    requested = root.find(f"{VIRTIO_MEM}/target/requested")
    if requested is None:
        raise InputError(
            "nothing can be plugged into it",
            why="it was not made for that",
            hint="Set memory.max first, while it is off.",
        )
    room = size_of(root.find(f"{VIRTIO_MEM}/target/size")) or 0
    wanted = whole(value) // BLOCK_BYTES * BLOCK_BYTES if value is not None else 0
    if wanted > room:
        raise InputError(
            "that much can't be plugged in", why=f"there is room for {room // MIB} MiB"
        )
    set_size(requested, wanted)


def _not_virtio(root: Element) -> str:
    several = len(root.findall(VIRTIO_MEM)) > 1
    others = root.find("devices/memory") is not None and root.find(VIRTIO_MEM) is None
    return _ONLY_VIRTIO_MEM if several or others else ""


# -- backing -------------------------------------------------------------------------------------


def _read_pages(root: Element) -> Value:
    pages = root.find("memoryBacking/hugepages")
    if pages is None:
        return None
    page = pages.find("page")
    kib = (size_bytes(page.get("size"), page.get("unit")) or 0) // KIB if page is not None else 2048
    return next((name for name, text in _PAGES.items() if text == str(kib)), None)


def _write_pages(root: Element, value: Value) -> None:
    pages = root.find("memoryBacking/hugepages")
    if value is None:
        take_out(pages)
        take_out_if_bare(root.find("memoryBacking"))
        return
    page = have(root, "memoryBacking/hugepages/page")
    page.set("size", _PAGES[words(value)])
    page.set("unit", "KiB")


def _by_node(root: Element) -> str:
    pages = root.findall("memoryBacking/hugepages/page")
    by_node = len(pages) > 1 or any("nodeset" in page.attrib for page in pages)
    return "it differs between NUMA nodes: edit the definition" if by_node else ""


def _write_merge(root: Element, value: Value) -> None:
    if value:
        take_out(root.find("memoryBacking/nosharepages"))
        take_out_if_bare(root.find("memoryBacking"))
    else:
        have(root, "memoryBacking/nosharepages")


# -- the balloon ---------------------------------------------------------------------------------

BALLOON = "devices/memballoon"


def has_balloon(root: Element) -> bool:
    """QEMU's domains have one unless they say no."""
    return got(root, BALLOON, "model") != "none"


def _write_balloon(root: Element, value: Value) -> None:
    balloon = have(root, BALLOON)
    if not value:
        for name in balloon.attrib:
            del balloon.attrib[name]
        for child in balloon.findall("*"):
            take_out(child)
    balloon.set("model", "virtio" if value else "none")
    if value and balloon.find("stats") is None:
        # Without a period the guest tells its memory once and then never again.
        put(balloon, made("stats", {"period": str(GUEST_PERIOD_S)}))


def _no_balloon(root: Element) -> str:
    return "" if has_balloon(root) else "it has no balloon"


def _of_balloon(attribute: str) -> Knob:
    plain = switch(BALLOON, attribute)

    def write(root: Element, value: Value) -> None:
        balloon = have(root, BALLOON)
        give_once(balloon, "model", "virtio")
        plain.write(root, value)

    return Knob(plain.read, write, _no_balloon)


MEMORY_KNOBS = {
    "memory": Knob(ceiling_bytes, _write_memory, _several_cells),
    "memory.target": Knob(current_bytes, _write_current, _no_balloon),
    "memory.max": Knob(_read_max, _write_max, _several_cells),
    "memory.plugged": Knob(_read_plugged, _write_plugged, _not_virtio),
    "memory.pages": Knob(_read_pages, _write_pages, _by_node),
    "memory.merge": Knob(
        lambda root: root.find("memoryBacking/nosharepages") is None, _write_merge
    ),
    "balloon": Knob(has_balloon, _write_balloon),
    "balloon.reporting": _of_balloon("freePageReporting"),
    "balloon.deflate": _of_balloon("autodeflate"),
}

"""Elements of a domain put in, taken out and changed so that all around them stays as it was."""

from __future__ import annotations

from lxml import etree

from vmtui.errors import InputError

Element = etree._Element

_INDENT = "  "

# As libvirt writes them: what is put in comes where a reader looks for it.
_ORDER = {
    "domain": (
        "name uuid genid title description metadata maxMemory memory currentMemory blkiotune "
        "memtune memoryBacking vcpu vcpus iothreads iothreadids defaultiothread cputune numatune "
        "resource sysinfo bootloader os features cpu clock on_poweroff on_reboot on_crash "
        "on_lockfailure pm perf devices seclabel keywrap launchSecurity"
    ),
    "os": (
        "type firmware loader nvram nvram kernel initrd cmdline dtb acpi boot bootmenu smbios bios"
    ),
    "cpu": "model vendor topology cache maxphysaddr feature numa",
    "memoryBacking": "hugepages nosharepages locked source access allocation discard",
    "cputune": (
        "shares period quota global_period global_quota emulator_period emulator_quota "
        "iothread_period iothread_quota vcpupin emulatorpin iothreadpin"
    ),
    "devices": (
        "emulator disk controller lease filesystem interface smartcard serial parallel console "
        "channel input tpm graphics sound audio video hostdev redirdev redirfilter hub watchdog "
        "memballoon rng nvram panic shmem memory iommu vsock"
    ),
    "disk": "driver auth source backingStore mirror target iotune readonly",
    "interface": (
        "mac source virtualport portForward target model driver backend filterref guest link mtu "
        "bandwidth"
    ),
    "memballoon": "stats driver alias address",
    "backend": "encryption active_pcr_banks profile",
}
_RANKS = {
    parent: {tag: rank for rank, tag in enumerate(tags.split())} for parent, tags in _ORDER.items()
}


def parsed(xml: str) -> Element:
    """The root element, with comments and all. Raises InputError with the line."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, strip_cdata=False
    )
    try:
        return etree.fromstring(xml.encode(), parser)
    except etree.XMLSyntaxError as error:
        line = error.lineno or 1
        raise InputError("this is no XML", why=f"line {line}: {error.msg}") from error


def text_of(root: Element) -> str:
    """It as text."""
    return etree.tostring(root.getroottree(), encoding="unicode")


def fragment(element: Element) -> str:
    """One element as text, alone."""
    return etree.tostring(element, encoding="unicode", with_tail=False)


def made(tag: str, attributes: dict[str, str] | None = None, text: str = "") -> Element:
    """A new element."""
    element = etree.Element(tag, attributes or {})
    element.text = text or None
    return element


def under(parent: Element, tag: str, attributes: dict[str, str] | None = None) -> Element:
    """A new element at the end of one that is not yet in a definition."""
    return etree.SubElement(parent, tag, attributes or {})


def put(parent: Element, element: Element) -> Element:
    """Put a new element where it belongs among its parent's, in lines of its own."""
    ranks = _RANKS.get(parent.tag, {})
    rank = ranks.get(element.tag, len(ranks))
    later = (one for one in parent.findall("*") if ranks.get(one.tag, len(ranks)) > rank)
    after = next(later, None)
    inner, outer = _breaks(parent)
    parent.insert(parent.index(after) if after is not None else len(parent), element)
    before = element.getprevious()
    if before is None:
        parent.text = inner
    else:
        before.tail = inner
    element.tail = outer if element.getnext() is None else inner
    if inner is not None and len(element):
        tail = element.tail
        etree.indent(element, space=_INDENT, level=_depth(element))
        element.tail = tail
    return element


def _breaks(parent: Element) -> tuple[str | None, str | None]:
    """What comes before each of its elements, and after the last."""
    root = parent.getroottree().getroot()
    if "\n" not in (root.text or ""):
        return None, None
    depth = _depth(parent)
    inner = parent.text if len(parent) else None
    outer = parent[-1].tail if len(parent) else None
    return (
        inner or f"\n{_INDENT * (depth + 1)}",
        outer or f"\n{_INDENT * depth}",
    )


def _depth(element: Element) -> int:
    return sum(1 for _ in element.iterancestors())


def take_out(element: Element | None) -> None:
    """Take an element out, with its line."""
    parent = element.getparent() if element is not None else None
    if element is None or parent is None:
        return
    before, tail = element.getprevious(), element.tail
    last = element.getnext() is None
    parent.remove(element)
    if before is None:
        if last:
            parent.text = None
    elif last:
        before.tail = tail


def take_out_if_bare(element: Element | None) -> None:
    """Take an element out that has nothing in it any more."""
    if element is not None and not len(element) and not element.attrib:
        take_out(element)


def have(parent: Element, path: str) -> Element:
    """The element at a path of plain names; what of it is not there is put in."""
    for tag in path.split("/"):
        found = parent.find(tag)
        parent = found if found is not None else put(parent, made(tag))
    return parent


def said(root: Element, path: str) -> str:
    """The text of an element; empty where there is none."""
    return (root.findtext(path) or "").strip()


def say(root: Element, path: str, text: str) -> None:
    """Give an element its text; an empty one is taken out."""
    if text:
        have(root, path).text = text
    else:
        take_out(root.find(path))


def got(root: Element, path: str, attribute: str) -> str:
    """An attribute of the element at a path; empty where there is none."""
    found = root.find(path)
    # Not by lxml's own `get`, which raises for what can't be a name, as it may stand in a value.
    attributes = dict(found.items()) if found is not None else {}
    return str(attributes.get(attribute, ""))


def give(element: Element, attribute: str, value: str | None) -> None:
    """Give an element an attribute; None or an empty one is taken away."""
    if value:
        element.set(attribute, value)
    elif attribute in element.attrib:
        del element.attrib[attribute]


def give_once(element: Element, attribute: str, value: str) -> None:
    """Give an element an attribute that it has not got yet."""
    if attribute not in element.attrib:
        element.set(attribute, value)

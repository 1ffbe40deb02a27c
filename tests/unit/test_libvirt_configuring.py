"""Every edit of a hundred domains changes what it is about, and nothing else."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

pytest.importorskip("libvirt")

from lxml import etree

from vmtui.backends.libvirt.configuring import attaching, schema
from vmtui.backends.libvirt.configuring.checks import without_passwords
from vmtui.backends.libvirt.configuring.elements import Element, parsed, text_of
from vmtui.backends.libvirt.configuring.parts import hardware
from vmtui.backends.libvirt.configuring.pending import is_pending
from vmtui.backends.libvirt.configuring.recognizing import device_of
from vmtui.backends.libvirt.configuring.situation import Situation
from vmtui.backends.libvirt.configuring.table import Table, edited
from vmtui.backends.libvirt.configuring.tuning_knobs import HostCpus
from vmtui.backends.libvirt.configuring.undoing import undoing
from vmtui.errors import InputError, UnsupportedError
from vmtui.hardware.changes import Assign, Attach, Change, ChangePlan, Detach, When
from vmtui.hardware.devices import (
    ConsoleKind,
    Device,
    HostBus,
    HostDevice,
    NewConsole,
    NewDisk,
)
from vmtui.hardware.settings import setting
from vmtui.hardware.values import Kind, Value
from vmtui.model import DiskKind, VMId
from vmtui.parts import DiskBus, NetworkKind, NicSpec, SharedFolder
from vmtui.units import GIB, MIB

CORPUS = {
    path.stem: path.read_text() for path in (Path(__file__).parent / "xml_corpus").glob("*.xml")
}
SCHEMA = etree.RelaxNG(etree.parse("/usr/share/libvirt/schemas/domain.rng"))
TABLE = Table()

# What a key is allowed to touch, as paths of tags below the domain; all else has to stay.
TOUCHES: dict[str, tuple[str, ...]] = {
    "name": ("name",),
    "description": ("description",),
    "restart": ("on_crash",),
    "cpus": ("vcpu", "vcpus"),
    "cpus.max": ("vcpu", "vcpus"),
    "cpu.model": ("cpu@", "cpu/model", "cpu/vendor", "cpu/feature"),
    "cpu.topology": ("cpu/topology",),
    "cpu.profile": ("cputune/shares", "cputune/global_quota", "cputune/vcpupin", "vcpu@cpuset"),
    "cpu.weight": ("cputune/shares",),
    "cpu.quota": ("cputune/global_quota",),
    "cpu.period": ("cputune/global_period", "cputune/global_quota"),
    "cpu.pin": ("cputune/vcpupin", "vcpu@cpuset"),
    "cpu.emulator": ("cputune/emulatorpin",),
    "cpu.iothreads": ("iothreads", "iothreadids"),
    "memory": ("memory", "currentMemory", "cpu/numa/cell"),
    "memory.target": ("currentMemory",),
    "memory.max": ("maxMemory", "memory", "cpu/numa", "devices/memory"),
    "memory.plugged": ("devices/memory/target/requested",),
    "memory.pages": ("memoryBacking/hugepages",),
    "memory.merge": ("memoryBacking/nosharepages",),
    "balloon": ("devices/memballoon",),
    "balloon.reporting": ("devices/memballoon@freePageReporting", "devices/memballoon@model"),
    "balloon.deflate": ("devices/memballoon@autodeflate", "devices/memballoon@model"),
    "firmware": ("os@firmware", "os/firmware", "os/loader", "os/nvram", "features/smm"),
    "firmware.keys": ("os/firmware/feature",),
    "boot.order": (
        "os/boot",
        "devices/disk/boot",
        "devices/interface/boot",
        "devices/hostdev/boot",
    ),
    "boot.menu": ("os/bootmenu",),
    "tpm": ("devices/tpm",),
    "tpm.version": ("devices/tpm/backend@version",),
    "tpm.encrypted": ("devices/tpm/backend/encryption",),
    "disk.*.source": ("devices/disk/source", "devices/disk@type"),
    "disk.*.bus": ("devices/disk/target", "devices/disk/address", "devices/controller"),
    "disk.*.cache": ("devices/disk/driver@cache",),
    "disk.*.discard": ("devices/disk/driver@discard",),
    "nic.*.link": ("devices/interface/link",),
    "nic.*.network": (
        "devices/interface@type",
        "devices/interface/source",
        "devices/interface/backend",
        "devices/interface/portForward",
        "devices/interface/virtualport",
        "devices/interface/target",
    ),
    "nic.*.model": ("devices/interface/model",),
    "nic.*.mac": ("devices/interface/mac",),
    "nic.*.rate": ("devices/interface/bandwidth",),
    "display": ("devices/graphics", "devices/video"),
    "rng": ("devices/rng",),
    "watchdog": ("devices/watchdog",),
    "watchdog.action": ("devices/watchdog@action",),
    "sound": ("devices/sound",),
    "agent": ("devices/channel",),
    "vsock": ("devices/vsock",),
}
IOTUNE = ("devices/disk/iotune",)
OWN = ("metadata/{urn:vmtui:domain:1}vm",)

# Values to try; of kinds that have no choices.
TRIED: dict[str, tuple[Value, ...]] = {
    "name": ("renamed",),
    "cpus": (1, 2, 3, 16),
    "cpus.max": (1, 3, 16),
    "cpu.model": ("", "host", "max", "host-model", "EPYC,-monitor,+svm", "host,-vmx"),
    "cpu.topology": ("", "1x2x1", "2x1x1"),
    "cpu.pin": ("", "0=0-3 1=4", "all=0-3", "0=2"),
    "cpu.emulator": ("", "0-1,4"),
    "cpu.iothreads": (0, 1, 4),
    "memory": (512 * MIB, 2 * GIB, 8 * GIB),
    "memory.target": (256 * MIB, GIB),
    "memory.max": (None, 32 * GIB),
    "memory.plugged": (None, 512 * MIB),
    "boot.order": ((), ("network", "disk"), ("cdrom",), ("disk", "cdrom", "network")),
    "sound": ("off", "ich9"),  # `virtio` is in newer schemas only
    "vsock": (None, 7),
    "disk.*.source": ("", "/srv/iso/other.iso"),
    "nic.*.network": ("user", "network:lab", "bridge:br9"),
    "nic.*.mac": ("52:54:00:00:00:01",),
}


def values(key: str) -> tuple[Value, ...]:
    """What to set it to."""
    one = setting(key)
    if one.key in TRIED:
        return TRIED[one.key]
    none: tuple[Value, ...] = (None,) if one.form.optional else ()
    usual: dict[Kind, tuple[Value, ...]] = {
        Kind.SWITCH: (True, False),
        Kind.CHOICE: (*none, *one.form.choices),
        Kind.SIZE: (*none, 64 * MIB, 3 * GIB),
        Kind.COUNT: (*none, 2000),
        Kind.LIST: ((), ("one", "two")),
        Kind.TEXT: ("", "a < b & 'c' ☃"),
    }
    return usual[one.form.kind]


def touched(key: str) -> tuple[str, ...]:
    """The paths that an edit of that key may change."""
    one = setting(key).key
    if one.startswith("disk.*.") and one.partition("*.")[2].startswith(("iops", "rate")):
        return IOTUNE
    return TOUCHES.get(one, OWN)


_BARE = etree.XMLParser(remove_blank_text=True)


@cache
def masked(xml: str, masks: tuple[str, ...]) -> bytes:
    """All that is in a domain but for what is masked, in order, with its comments.

    What only wraps what is masked is no change either: an element that comes for that, or goes.
    """
    root = etree.fromstring(xml, _BARE)
    for mask in masks:
        path, _, attribute = mask.partition("@")
        for element in root.findall(path):
            if "@" not in mask:
                _drop(element)
            for name in [attribute] if attribute else list(element.attrib) * ("@" in mask):
                if name in element.attrib:
                    del element.attrib[name]
    for path in sorted({path for mask in masks for path in _above(mask)}, reverse=True):
        for element in root.findall(path):
            if not len(element) and not element.attrib and not element.text:
                _drop(element)
    return bytes(etree.tostring(root, method="c14n", with_comments=True))


def _drop(element: Element) -> None:
    parent = element.getparent()
    assert parent is not None
    parent.remove(element)


def _above(mask: str) -> list[str]:
    """The paths of all that wraps it, itself too where the mask is of its attributes."""
    path, at, _ = mask.partition("@")
    tags = re.findall(r"(?:\{[^}]*\})?[^/]+", path)
    return ["/".join(tags[:length]) for length in range(1, len(tags) + bool(at))]


def assert_only(before: str, after: Element, masks: tuple[str, ...], what: str) -> None:
    """Nothing but what is masked differs."""
    assert masked(before, masks) == masked.__wrapped__(text_of(after), masks), what


def assert_valid(root: Element, what: str) -> None:
    """libvirt's own schema has nothing against it."""
    assert SCHEMA.validate(root.getroottree()), f"{what}: {SCHEMA.error_log.last_error}"


def test_the_corpus_is_a_hundred_valid_domains() -> None:
    assert len(CORPUS) >= 100
    for name, xml in CORPUS.items():
        assert_valid(parsed(xml), name)
        # But for quotes, and where namespaces are among the attributes of the first.
        as_read = text_of(parsed(xml)).replace('"', "'").splitlines()[1:]
        assert as_read == xml.replace('"', "'").splitlines()[1:], name


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_setting_anything_changes_that_alone(name: str) -> None:
    xml = CORPUS[name]
    original = parsed(xml)
    # Validated are all first values together, all second ones and so on: one by one takes minutes.
    rounds: defaultdict[int, Element] = defaultdict(lambda: parsed(xml))
    for key in TABLE.keys(original):
        before = TABLE.value(original, key)
        for number, value in enumerate(values(key)):
            what = f"{name}: {key} = {value!r}"
            root = parsed(xml)
            try:
                TABLE.apply(root, Assign(key, value))
            except (InputError, UnsupportedError):
                assert text_of(root) == text_of(original), f"{what}: refused, yet changed"
                continue
            if value == before:
                assert text_of(root) == text_of(original), f"{what}: it was that before"
                continue
            assert_only(xml, root, touched(key), what)
            _assert_read_back(root, original, key, value, what)
            with suppress(InputError, UnsupportedError):  # beside others it may make no sense
                TABLE.apply(rounds[number], Assign(key, value))
    for number, root in rounds.items():
        assert_valid(root, f"{name}: round {number}")


def _assert_read_back(root: Element, original: Element, key: str, value: Value, what: str) -> None:
    """It reads as it was set, and setting it back brings back what was."""
    if setting(key).key in ("disk.*.bus", "cpu.profile"):
        return  # the disk has another name then; the other is a word for several settings
    assert TABLE.value(root, key) == value, what
    before = TABLE.value(original, key)
    again = deepcopy(root)
    try:
        TABLE.apply(again, Assign(key, before))
    except (InputError, UnsupportedError):
        return
    assert TABLE.value(again, key) == before, what


DEVICES = (
    NewDisk(path=Path("/images/new.qcow2")),
    NewDisk(path=Path("/images/new.raw"), cache="none", read_only=True),
    NewDisk(kind=DiskKind.CDROM),
    NicSpec(NetworkKind.NETWORK, "lab", model="e1000e"),
    NicSpec(NetworkKind.BRIDGE, "br0", mac="52:54:00:00:00:09"),
    SharedFolder(Path("/srv/a"), "new-tag", protocol="virtiofs"),
    SharedFolder(Path("/srv/a"), "new-tag", read_only=True),
    HostDevice(HostBus.USB, "1d6b:0002"),
    HostDevice(HostBus.PCI, "0000:00:1f.2"),
    NewConsole(ConsoleKind.VIRTIO),
    NewConsole(),
)
TAGS = {
    NewDisk: ("devices/disk",),
    NicSpec: ("devices/interface",),
    SharedFolder: ("devices/filesystem", "memoryBacking/source", "memoryBacking/access"),
    HostDevice: ("devices/hostdev",),
    NewConsole: ("devices/serial", "devices/console"),
}


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_attaching_and_detaching_leaves_no_trace(name: str) -> None:
    xml = CORPUS[name]
    original = parsed(xml)
    for device in DEVICES:
        root = parsed(xml)
        known = set(_parts(root))
        TABLE.apply(root, Attach(device))
        what = f"{name}: {device}"
        assert_only(xml, root, TAGS[type(device)], what)
        assert_valid(root, what)
        (part,) = set(_parts(root)) - known
        again = device_of(attaching.found(root, part))
        if isinstance(again, SharedFolder):
            again = replace(again, protocol=device.protocol)  # type: ignore[union-attr]
        assert again in (device, _given(device)), what
        TABLE.apply(root, Detach(part))
        if not isinstance(device, SharedFolder):
            assert text_of(root) == text_of(original), what
    for part in _parts(original):
        root = parsed(xml)
        TABLE.apply(root, Detach(part))
        gone: Change = Detach(part)
        assert_only(xml, root, _masked(original, part), f"{name}: {gone}")
        assert_valid(root, f"{name}: {gone}")
        left = [one for one in _parts(root) if one.partition(".")[0] == part.partition(".")[0]]
        was = [one for one in _parts(original) if one.partition(".")[0] == part.partition(".")[0]]
        assert len(left) == len(was) - 1


def _parts(root: Element) -> Iterator[str]:
    for kind in ("disk", "nic", "share", "host", "console", "serial"):
        yield from (f"{kind}.{name}" for name in attaching.named(root, kind))


def _given(device: Device) -> Device:
    """As it comes back where something was left open: a tray is on SATA, and takes no trims."""
    if isinstance(device, NewDisk) and device.kind is DiskKind.CDROM:
        return replace(device, bus=DiskBus.SATA, discard=False, read_only=True)
    return device


def _masked(root: Element, part: str) -> tuple[str, ...]:
    tag = attaching.found(root, part).tag
    return (f"devices/{tag}", "devices/console") if tag == "serial" else (f"devices/{tag}",)


def situation(xml: str, live_xml: str = "") -> Situation:
    """A domain on a host of four CPUs."""
    return Situation(
        VMId("v"),
        "x",
        active=bool(live_xml),
        persistent=True,
        xml=xml,
        live_xml=live_xml,
        base="",
        host_cpus=4,
    )


def undone(name: str, *changes: Change) -> tuple[Change, ...]:
    """What a change of a domain that is off gives for undoing it."""
    before, after = situation(CORPUS[name]), situation(edited(CORPUS[name], changes))
    plan = ChangePlan(VMId("v"), "x", When.AUTO, (), "", "")
    return undoing((before, hardware(before)), (after, hardware(after)), plan, ())


def test_what_can_be_brought_back_by_changes_is_and_the_rest_by_the_whole_definition() -> None:
    assert undone("plain", Assign("memory", GIB)) == (Assign("memory", 4 * GIB),)
    assert undone("plain", Assign("sound", "ich9")) == (Assign("sound", "off"),)
    assert undone("plain", Attach(NewDisk(path=Path("/a.raw")))) == (Detach("disk.vdb"),)
    # A display with settings of its own would come back as a plain one.
    assert undone("graphics-spice", Assign("display", False)) == ()
    assert undone("balloon-all", Assign("balloon", False)) == ()


def test_what_runs_is_pending_only_where_the_next_boot_differs() -> None:
    xml = CORPUS["nic-several"]
    live = xml.replace("<domain ", "<domain id='7' ", 1)
    assert not is_pending(live, xml)
    assert hardware(situation(xml, live)).pending == ()
    # What the balloon has now is no setting of the next boot.
    shrunk = edited(live, [Assign("memory.target", GIB)])
    assert not is_pending(shrunk, xml)
    later = edited(xml, [Assign("memory", GIB), Assign("nic.net1.link", False)])
    assert hardware(situation(later, live)).pending == ("memory", "nic.net1.link")
    # Cards go by their addresses: the others keep their names when one goes.
    gone = edited(xml, [Detach("nic.net0")])
    tree = hardware(situation(gone, live))
    assert tree.pending == ("nic.net0",)
    assert is_pending(live, gone)
    assert not is_pending("", xml)
    # libvirt writes out what a CPU's model comes to when it starts one.
    xml = CORPUS["cpu-custom"]
    more = "<feature policy='require' name='hypervisor'/><feature policy='disable' name='hle'/>"
    live = xml.replace("</cpu>", f"{more}</cpu>")
    assert not is_pending(live, xml)
    assert is_pending(live, edited(xml, [Assign("cpu.model", "EPYC")]))


def test_passwords_are_not_shown() -> None:
    shown = without_passwords(CORPUS["graphics-spice"])
    assert "s3cr3t" not in shown
    assert "passwdValidTo='2030-04-09T15:51:00'" in shown


def test_the_chipset_of_its_machine_has_a_watchdog_of_its_own() -> None:
    root = parsed(
        re.sub("<devices>", "<devices><watchdog model='itco' action='reset'/>", CORPUS["plain"])
    )
    before = text_of(root)
    assert TABLE.value(root, "watchdog") == "off"
    TABLE.apply(root, Assign("watchdog", "i6300esb"))
    TABLE.apply(root, Assign("watchdog.action", "pause"))
    found = {one.get("model"): one.get("action") for one in root.iterfind("devices/watchdog")}
    assert found == {"itco": "pause", "i6300esb": "pause"}
    TABLE.apply(root, Assign("watchdog.action", "reset"))
    TABLE.apply(root, Assign("watchdog", "off"))
    assert text_of(root) == before


def test_a_profile_is_one_word_for_several_settings() -> None:
    host = HostCpus(usual_shares=1024, free=(2, 3, 5), all="0-7")
    table = Table(host)
    root = parsed(CORPUS["plain"])
    for word, weight, quota, pin in (
        ("low", 25, 100, ""),
        ("high", 400, None, ""),
        ("dedicated", 400, None, "0=2 1=3"),
        ("normal", None, None, ""),
    ):
        table.apply(root, Assign("cpu.profile", word))
        assert [
            table.value(root, f"cpu.{key}") for key in ("profile", "weight", "quota", "pin")
        ] == [
            word,
            weight,
            quota,
            pin,
        ]
    assert text_of(root) == text_of(parsed(CORPUS["plain"]))
    with pytest.raises(InputError, match="4 CPUs"):
        table.apply(
            parsed(edited(CORPUS["plain"], [Assign("cpus", 4)])), Assign("cpu.profile", "dedicated")
        )


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("<input type='tablet'", "<input colour='red' type='tablet'", "<input> can't have colour="),
        ("<apic/>", "<apic/><colour/>", "<colour> can't be that"),
        ("offset='utc'", "offset='moon'", "<clock> can't be that"),
    ],
)
def test_what_the_schema_does_not_allow_is_told_by_its_line(old: str, new: str, why: str) -> None:
    xml = CORPUS["comments"]
    wrong = xml.replace(old, new)
    line = next(n for n, text in enumerate(wrong.splitlines(), start=1) if new in text)
    with pytest.raises(InputError) as refused:
        schema.check(wrong, xml)
    assert refused.value.why.startswith(f"line {line}: {why}")
    schema.check(xml, xml)
    schema.check(wrong, wrong)  # it was so before: then it is not for us to judge

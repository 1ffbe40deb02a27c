"""The table of settings, its values as text, and changes in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmtui.device_texts import EXAMPLES, device
from vmtui.errors import InputError
from vmtui.hardware.changes import Assign, ChangePlan, Detach, Done, Step, When
from vmtui.hardware.cores import cpus_text, parse_cpus
from vmtui.hardware.devices import (
    ConsoleKind,
    Device,
    HostBus,
    HostDevice,
    NewConsole,
    NewDisk,
)
from vmtui.hardware.settings import SETTINGS, PartKind, Setting, setting
from vmtui.hardware.tree import Entry, Hardware, Part, Takes
from vmtui.hardware.values import Form, Kind, Value
from vmtui.hardware.wording import assigned, attached, detached, outcome, told
from vmtui.model import DiskKind, VMId
from vmtui.parts import DiskBus, Forward, NetworkKind, NicSpec, SharedFolder
from vmtui.units import GIB, KIB, MIB

_words = st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), max_size=30)


def values(form: Form) -> st.SearchStrategy[Value]:
    """All that a form can hold."""
    most = form.most if form.most is not None else 2**40
    kinds: dict[Kind, st.SearchStrategy[Value]] = {
        Kind.SIZE: st.integers(max(1, form.least or 0), most),
        Kind.COUNT: st.integers(form.least or 0, most),
        Kind.SWITCH: st.booleans(),
        Kind.CHOICE: st.sampled_from(form.choices or ("-",)),
        Kind.TEXT: _words.map(str.strip),
        Kind.LIST: st.lists(
            st.sampled_from(form.choices)
            if form.choices
            else _words.map(lambda word: word.replace(",", "").strip()).filter(bool),
            unique=True,
        ).map(tuple),
    }
    return st.none() | kinds[form.kind] if form.optional else kinds[form.kind]


@given(st.data())
def test_a_value_reads_as_it_is_written(data: st.DataObject) -> None:
    one = data.draw(st.sampled_from(SETTINGS))
    value = data.draw(values(one.form))
    assert one.parse(one.form.text(value)) == value
    assert one.form.shown(value)


@pytest.mark.parametrize("one", SETTINGS, ids=lambda one: one.key)
def test_a_setting_is_found_by_its_key_and_explained(one: Setting) -> None:
    key = one.key.replace("*", "x0")
    assert setting(key) is one
    assert one.part_of(key) == ("x0" if "*" in one.key else "")
    assert one.help[-1] == "."
    assert one.help[0].isupper() or one.help[0].isdigit()
    assert len(one.help) < 80


def test_keys_and_labels_are_unique() -> None:
    assert len({one.key for one in SETTINGS}) == len(SETTINGS)
    # In one part of the tree, two rows must not look alike.
    assert len({(one.part, one.label) for one in SETTINGS}) == len(SETTINGS)


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("disk.vda.chache", "disk.*.cache"),
        ("memroy", "memory"),
        ("cpus.maximum", "cpus.max"),
        ("disk..cache", "disk.*.cache"),
        ("*", "vmtui settings"),
        ("", "vmtui settings"),
    ],
)
def test_an_unknown_key_is_told_with_what_comes_near(key: str, hint: str) -> None:
    with pytest.raises(InputError) as error:
        setting(key)
    assert hint in error.value.hint
    assert "vmtui settings" in error.value.hint


@pytest.mark.parametrize(
    ("key", "text", "why"),
    [
        ("cpus", "0", "0 is less than 1"),
        ("cpus", "two", "'two' is not a whole number"),
        ("cpus", "²", "is not a whole number"),
        ("cpus", "-1", "'-1' is not a whole number"),
        ("memory", "4", "has no unit"),
        ("memory", "1K", "1K is less than 1 MiB"),
        ("memory", "", "is not a size"),
        ("protected", "maybe", "'maybe' is neither on nor off"),
        ("firmware", "efi", "'efi' is none of: bios, uefi, secure-boot"),
        ("cpu.weight", "10001", "10001 is more than 10000"),
        ("boot.order", "disk,floppy", "'floppy' is none of: disk, cdrom, network"),
    ],
)
def test_a_wrong_value_is_refused_with_the_reason(key: str, text: str, why: str) -> None:
    with pytest.raises(InputError) as error:
        setting(key).parse(text)
    assert error.value.what == f"{key} can't be that"
    assert why in error.value.why


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("disk.vda.cache", "none", "none"),  # QEMU's own word, not the absence of one
        ("disk.vda.cache", "default", None),
        ("cpu.quota", "none", None),
        ("memory", "1.5G", 1536 * MIB),
        ("tags", "lab, web,lab,", ("lab", "web")),
        ("agent", "Yes", True),
    ],
)
def test_what_people_write_is_understood(key: str, text: str, value: Value) -> None:
    assert setting(key).parse(text) == value


def test_a_size_is_written_exactly() -> None:
    form = setting("disk.vda.rate").form
    assert [form.text(n) for n in (GIB, 1536 * MIB, 3 * KIB, 1_000_000)] == [
        "1G",
        "1536M",
        "3K",
        "976.5625K",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("disk:10G,bus=scsi", NewDisk(10 * GIB, bus=DiskBus.SCSI)),
        ("disk:/a/b.qcow2,ro", NewDisk(path=Path("/a/b.qcow2"), read_only=True)),
        ("disk:1G,cache=none,discard=off", NewDisk(GIB, cache="none", discard=False)),
        (
            "cdrom:/x.iso",
            NewDisk(path=Path("/x.iso"), kind=DiskKind.CDROM, bus=DiskBus.SATA, read_only=True),
        ),
        ("cdrom:", NewDisk(kind=DiskKind.CDROM, bus=DiskBus.SATA, read_only=True)),
        ("cdrom", NewDisk(kind=DiskKind.CDROM, bus=DiskBus.SATA, read_only=True)),
        ("nic:user", NicSpec()),
        ("nic:bridge:br0,model=e1000", NicSpec(NetworkKind.BRIDGE, "br0", model="e1000")),
        ("nic:user,forward=2222:22", NicSpec(forwards=(Forward(22, 2222),))),
        ("share:/srv:data,ro", SharedFolder(Path("/srv"), "data", read_only=True)),
        ("usb:1D6B:0002", HostDevice(HostBus.USB, "1d6b:0002")),
        ("pci:0000:00:1f.2", HostDevice(HostBus.PCI, "0000:00:1f.2")),
        ("pci:00:1f.2", HostDevice(HostBus.PCI, "0000:00:1f.2")),
        ("console:virtio", NewConsole(ConsoleKind.VIRTIO)),
        ("console", NewConsole(ConsoleKind.SERIAL)),
    ],
)
def test_a_device_is_written_in_one_word(text: str, expected: Device) -> None:
    assert device(text) == expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("floppy:x", "is not a device"),
        ("disk:", "a size, or the path"),
        ("disk:ten", "is not a size"),
        ("disk:10G,ro", "'ro' is not a disk's"),
        ("disk:/x,bus=usb", "'bus=usb' is not a disk's"),
        ("nic:wifi", "is not a network"),
        ("nic:user,colour=red", "'colour=red' is not a card's"),
        ("usb:1:2", "vendor:product"),
        ("pci:zz", "domain:bus:slot.function"),
        ("console:hvc", "is none of: serial, virtio"),
        ("share:/srv:x,rw", "is not a shared folder's"),
    ],
)
def test_a_device_that_makes_no_sense_is_told_with_an_example(text: str, told: str) -> None:
    with pytest.raises(InputError) as error:
        device(text)
    assert told in str(error.value)
    assert any(example in error.value.hint for example in EXAMPLES)


def test_every_example_is_a_device() -> None:
    for example in EXAMPLES:
        assert attached(device(example)).startswith("+ ")


@given(st.sets(st.integers(0, 300)))
def test_a_list_of_cpus_reads_as_it_is_written(cpus: set[int]) -> None:
    assert parse_cpus(cpus_text(cpus)) == tuple(sorted(cpus))


@pytest.mark.parametrize("text", ["x", "3-", "-3", "3-1", "0-99999", "1.5"])
def test_a_list_that_names_no_cpus_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="CPU"):
        parse_cpus(text)


def test_changes_in_words() -> None:
    assert assigned("cpus", 2, 4) == "vCPUs: 2 → 4"
    assert assigned("memory", 2 * GIB, 1536 * MIB) == "memory: 2 GiB → 1.5 GiB"
    assert assigned("disk.vda.cache", None, "none") == "vda cache: – → none"
    assert assigned("cpus", 2, 2) == "vCPUs: stays 2"
    assert assigned("disk.vda.cache", None, None) == "vda cache: stays –"
    assert attached(NewDisk(10 * GIB, bus=DiskBus.SCSI)) == "+ disk of 10 GiB (scsi)"
    assert detached(Part("disk.vda", PartKind.DISK, "disk \x1b[31mvda")) == "− disk vda"
    steps = (
        Step(Assign("cpus", 4), "vCPUs: 2 → 4", Takes.BOTH),
        Step(Detach("tpm"), "− TPM", Takes.NEXT_BOOT, "its state stays", "keys"),
    )
    plan = ChangePlan(VMId("1"), "web", When.AUTO, steps, "", "base")
    assert told(plan) == [
        "vCPUs: 2 → 4  [live, and at next boot]",
        "− TPM  [at next boot] (its state stays)",
        "Warning: keys",
    ]
    assert plan.changes == (Assign("cpus", 4), Detach("tpm"))
    done = (Done(steps[0], problem="the guest keeps it", reached=""), Done(steps[1]))
    assert outcome(done, When.AUTO)[0] == (
        "vCPUs: 2 → 4  [at next boot]: not live, the guest keeps it"
    )


def test_what_is_pending_is_what_the_next_boot_takes_otherwise() -> None:
    parts = (
        Part("cpu", PartKind.CPU, "CPU", (Entry("cpus", 2, 4), Entry("cpus.max", 4, 4))),
        Part(
            "memory",
            PartKind.MEMORY,
            "memory",
            (Entry("memory.target", GIB, None, Takes.LIVE),),
        ),
        Part("disk.vdb", PartKind.DISK, "disk vdb", there_next=False),
    )
    hardware = Hardware(VMId("1"), "web", True, parts)
    assert hardware.pending == ("cpus", "disk.vdb")
    assert Hardware(VMId("1"), "web", False, parts).pending == ()
    assert hardware.entry("cpus.max") == Entry("cpus.max", 4, 4)
    assert hardware.entry("nope") is None
    assert hardware.part("disk.vdb") is parts[2]

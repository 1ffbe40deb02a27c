"""`vm.toml` edited in place: what a person wrote stays."""

from __future__ import annotations

import difflib

import msgspec
import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.hardware import (
    DiskDefinition,
    NicDefinition,
    ShareDefinition,
    TopologyDefinition,
    TuningDefinition,
)
from vmtui.backends.kvm.written import edited, read
from vmtui.parts import DiskBus

TEXT = '''# The web server. Ask Ann before touching it.
uuid = "6f0e1c9a-0000-4000-8000-000000000001"
version = 1   # of this format

memory = "2G" # enough, see #12
vcpus = 2
boot  =  "disk"
tags = ["web",
  "lab", # the rack in the cellar
]
tpm = true # BitLocker
description = """
two
lines"""

ssh.user = "me"

# The system
[[disk]]
file = "disk.qcow2" # grew twice
format = "qcow2"

[[disk]]
format = "raw"
file = "/isos/a.iso"
kind = "cdrom"

# To the outside
[[nic]]
mac = "52:54:00:00:00:01"
forward = ["2222:22"]   # Ann's
'''
BEFORE = read(TEXT)


def changed_lines(after: Definition) -> list[str]:
    """The lines that go and come, each with its sign."""
    text = edited(TEXT, BEFORE, after)
    assert read(text) == after
    lines = difflib.unified_diff(TEXT.splitlines(), text.splitlines(), n=0, lineterm="")
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def test_what_stays_the_same_stays_as_it_was_written() -> None:
    assert edited(TEXT, BEFORE, BEFORE) == TEXT


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        (
            {"memory": "4G"},
            ['-memory = "2G" # enough, see #12', '+memory = "4G" # enough, see #12'],
        ),
        ({"tpm": False}, ["-tpm = true # BitLocker", "+tpm = false # BitLocker"]),
        ({"tpm": "tis"}, ["-tpm = true # BitLocker", '+tpm = "tis" # BitLocker']),
        ({"console": ()}, ["+console = []"]),
        ({"description": ""}, ['-description = """', "-two", '-lines"""']),
        ({"tuning": TuningDefinition(weight=50)}, ["+[tuning]", "+weight = 50"]),
        (
            {"topology": TopologyDefinition(1, 2, 1)},
            ["+[topology]", "+sockets = 1", "+cores = 2", "+threads = 1"],
        ),
    ],
)
def test_only_what_changed_is_touched(changes: dict[str, object], lines: list[str]) -> None:
    found = changed_lines(msgspec.structs.replace(BEFORE, **changes))
    assert [line for line in found if line not in ("+", "-")] == lines


def test_tables_come_and_go_by_themselves() -> None:
    disk, tray = BEFORE.disk
    more = DiskDefinition("disk1.qcow2", "qcow2", port=3)
    gone = msgspec.structs.replace(BEFORE, disk=(disk,))
    assert '-file = "/isos/a.iso"' in changed_lines(gone)
    assert "# grew twice" in edited(
        TEXT, BEFORE, msgspec.structs.replace(BEFORE, disk=(disk, more))
    )
    grown = msgspec.structs.replace(BEFORE, disk=(disk, tray, more))
    lines = [line for line in changed_lines(grown) if line not in ("+", "-")]
    assert lines == ["+[[disk]]", '+file = "disk1.qcow2"', '+format = "qcow2"', "+port = 3"]
    ejected = msgspec.structs.replace(tray, file="")
    assert not any(
        line.startswith("-[[") or "disk.qcow2" in line
        for line in changed_lines(msgspec.structs.replace(BEFORE, disk=(disk, ejected)))
    )
    none = msgspec.structs.replace(BEFORE, nic=(), disk=())
    text = edited(TEXT, BEFORE, none)
    assert read(text) == none
    nic = NicDefinition("52:54:00:00:00:02")
    other = msgspec.structs.replace(
        BEFORE, nic=(*BEFORE.nic, nic), share=(ShareDefinition("/srv", "srv"),)
    )
    assert not [line for line in changed_lines(other) if line.startswith("-")]


def test_lists_that_are_written_in_one_line_stay_so() -> None:
    text = (
        'version = 1\nuuid = "u"\nvcpus = 1\nmemory = "1G"\nboot = "micro"\n'
        'nic = [{ mac = "52:54:00:00:00:01" }] # one\n[balance]\non = true\n'
    )
    before = read(text)
    after = msgspec.structs.replace(
        before, nic=(*before.nic, NicDefinition("52:54:00:00:00:02")), vcpus=2
    )
    made = edited(text, before, after)
    assert read(made) == after
    assert "# one" in made
    assert "[[nic]]" not in made


_DISKS = st.lists(
    st.builds(
        DiskDefinition,
        st.sampled_from(["a.qcow2", "b.raw", "/c d.img", "e"]),
        st.sampled_from(["raw", "qcow2"]),
        bus=st.sampled_from([DiskBus.SCSI, DiskBus.SATA]),
        cache=st.sampled_from(["", "none", "unsafe"]),
        discard=st.booleans(),
        iops=st.integers(0, 9),
    ),
    max_size=4,
    unique_by=lambda disk: disk.file,
).map(tuple)
_NICS = st.lists(
    st.builds(
        NicDefinition,
        st.sampled_from(["52:54:00:00:00:01", "52:54:00:00:00:02", "52:54:00:00:00:03"]),
        link=st.booleans(),
        forward=st.sampled_from([(), ("2222:22",), ("2222:22", "8080:80")]),
    ),
    max_size=3,
    unique_by=lambda nic: nic.mac,
).map(tuple)
_DEFINITIONS = st.fixed_dictionaries(
    {
        "vcpus": st.integers(1, 9),
        "description": st.text(st.characters(exclude_categories=["Cs"]), max_size=9),
        "tags": st.lists(st.sampled_from(["a", "ü # b", 'c"']), max_size=2).map(tuple),
        "tpm": st.sampled_from([False, True, "tis"]),
        "console": st.sampled_from([(), ("serial",), ("virtio", "serial")]),
        "graphics": st.sampled_from([None, False, True]),
        "topology": st.just(None),
        "tuning": st.builds(TuningDefinition, weight=st.integers(0, 3), pin=st.just("all=0")),
        "disk": _DISKS,
        "nic": _NICS,
    }
).map(lambda fields: msgspec.structs.replace(BEFORE, **fields))


def _in_stored_order(before: Definition, after: Definition) -> Definition:
    """What stays is in the order that it was in, as changes leave it."""
    files = [disk.file for disk in before.disk]
    macs = [nic.mac for nic in before.nic]
    last = len(files) + len(macs)
    return msgspec.structs.replace(
        after,
        disk=tuple(
            sorted(after.disk, key=lambda d: files.index(d.file) if d.file in files else last)
        ),
        nic=tuple(sorted(after.nic, key=lambda n: macs.index(n.mac) if n.mac in macs else last)),
    )


@settings(deadline=None, max_examples=25)
@given(_DEFINITIONS, _DEFINITIONS)
def test_whatever_is_changed_is_read_back(before: Definition, after: Definition) -> None:
    before = _in_stored_order(BEFORE, before)
    after = _in_stored_order(before, after)
    for text in (edited(TEXT, BEFORE, before), tomli_w.dumps(msgspec.to_builtins(before))):
        made = edited(text, before, after)
        assert read(made) == after
        assert edited(made, after, after) == made


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (TEXT.replace("vcpus = 2", "vcpus = = 2"), "line 6: "),
        (TEXT.replace("vcpus = 2", "vcpus = 0"), "line 6: "),
        (TEXT.replace("vcpus = 2", 'vcpus = "2"'), "line 6: "),
        (TEXT.replace('kind = "cdrom"', 'kind = "floppy"'), "line 26: "),
        (TEXT.replace('kind = "cdrom"', "kid = 7"), "line 26: "),
        (TEXT.replace("52:54:00:00:00:01", "").replace("mac", "network"), "line 30: "),
        (TEXT + 'link = "up"\n', "line 32: "),
        (TEXT + "[tuning]\nweight = -1\n", "line 33: "),
        (TEXT.replace("2G", "lots"), "line 5: "),
        (TEXT.replace("version = 1", "version = 9"), "line 3: "),
        (TEXT.replace("uuid = ", "#"), "uuid"),
        ("a = [", "line 1: "),
    ],
)
def test_a_mistake_is_told_with_its_line(wrong: str, told: str) -> None:
    with pytest.raises(ValueError, match=f"^{told}|{told}") as caught:
        read(wrong)
    assert told.startswith("line") == str(caught.value).startswith("line")

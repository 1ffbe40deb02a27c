"""What surrounds a domain, as libvirt's settings, books and definitions tell it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("libvirt")

from vmtui.backends.libvirt.around import at_hand, confidential, host_devices, isolation, settings
from vmtui.backends.libvirt.around.isolation import Guarded
from vmtui.backends.libvirt.around.settings import Settings
from vmtui.backends.libvirt.configuring.elements import parsed
from vmtui.backends.libvirt.configuring.situation import Situation
from vmtui.backends.libvirt.domain_facts import parse
from vmtui.backends.libvirt.places import Places
from vmtui.files import write_whole
from vmtui.hardware.around import Barrier, Mark
from vmtui.hardware.changes import Assign, Detach
from vmtui.hardware.devices import HostBus, HostDevice
from vmtui.model import VMId

HERE = Path(__file__).parent
REMOTE = Places(local=False, session=False)
CAPABILITIES = """<capabilities><host><secmodel><model>apparmor</model></secmodel>
<secmodel><model>dac</model><baselabel type='kvm'>+64055:+64055</baselabel>
<baselabel type='qemu'>+0:+0</baselabel></secmodel></host></capabilities>"""


# -- settings ------------------------------------------------------------------------------------

CONF = """
# user = "not-this"
user = "qemu"   # as whom
group = 'kvm'
seccomp_sandbox = 0
namespaces = [ "mount",
  "net" ]
empty = []
security_driver = [ "selinux", 'apparmor' ]
user = "last"
"""


def test_settings_are_read_as_libvirt_does() -> None:
    found = settings.parse(CONF)
    assert (found.text("user"), found.text("group"), found.text("vnc_listen")) == (
        "last",
        "kvm",
        "",
    )
    assert (found.number("seccomp_sandbox"), found.number("user"), found.number("none")) == (
        0,
        None,
        None,
    )
    assert found.texts("namespaces") == ("mount", "net")
    assert found.texts("empty") == ()
    assert found.texts("security_driver") == ("selinux", "apparmor")
    assert found.texts("absent") is None


def test_settings_that_are_not_there_say_nothing(tmp_path: Path) -> None:
    assert settings.read(tmp_path / "qemu.conf") == Settings({})
    assert settings.read(tmp_path) is None
    assert settings.read(None) is None


# -- files of others -----------------------------------------------------------------------------


def test_only_files_that_can_be_changed_are_at_hand(tmp_path: Path) -> None:
    here = Places(local=True, session=True)
    assert at_hand.is_at_hand(here, tmp_path / "not/there/yet")
    assert not at_hand.is_at_hand(replace(here, local=False), tmp_path)
    assert not at_hand.is_at_hand(here, None)


def test_a_file_stays_whose_it_is(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(b"old")
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 12345, 54321)
    before = path.stat()
    write_whole(path, b"new", keep_owner=True)
    after = path.stat()
    assert path.read_bytes() == b"new"
    assert (after.st_uid, after.st_gid, after.st_mode) == (
        before.st_uid,
        before.st_gid,
        before.st_mode,
    )


def test_folders_that_were_made_for_nothing_go(tmp_path: Path) -> None:
    made = at_hand.make_folder(tmp_path / "swtpm/uuid/tpm2", None)
    assert [path.stat().st_mode & 0o777 for path in made] == [0o711, 0o711, 0o700]
    at_hand.remove_empty(made)
    assert list(tmp_path.iterdir()) == []
    made = at_hand.make_folder(tmp_path / "uuid/tpm2", None)
    (tmp_path / "uuid/tpm2/state").touch()
    at_hand.remove_empty(made)
    assert (tmp_path / "uuid/tpm2/state").exists()


# -- isolation -----------------------------------------------------------------------------------


def barriers(xml: str, conf: Settings | None = None, places: Places = REMOTE) -> dict[str, Barrier]:
    here = Situation(VMId("id"), "web", False, True, xml, "", "")
    one = Guarded(here, places, parsed(CAPABILITIES), conf, None)
    return {found.topic: found for found in isolation.barriers(one)}


def domain(devices: str = "", rest: str = "", kind: str = "kvm") -> str:
    return f"<domain type='{kind}'><name>web</name>{rest}<devices>{devices}</devices></domain>"


def test_what_libvirt_sets_up_by_itself() -> None:
    found = barriers(domain())
    assert (found["process user"].value, found["process user"].mark) == ("user 64055", Mark.GOOD)
    assert found["security label"].mark is Mark.GOOD
    assert found["system calls"].mark is Mark.UNKNOWN
    assert (found["network"].value, found["network"].mark) == ("none", Mark.GOOD)
    assert found["page sharing"].changes == (Assign("memory.merge", value=False),)
    assert found["page sharing"].mark is Mark.OPEN


def test_what_somebody_has_switched_off() -> None:
    off = settings.parse("seccomp_sandbox = 0")
    rest = """<seclabel type='none' model='apparmor'/>
      <qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'/>"""
    found = barriers(domain("<tpm><backend type='passthrough'/></tpm>", rest, "qemu"), off)
    weak = ("process user", "system calls", "security label", "QEMU's arguments", "TPM")
    assert {topic: found[topic].mark for topic in weak} == dict.fromkeys(weak, Mark.WEAK)
    assert all(found[topic].advice for topic in weak)


@pytest.mark.parametrize(
    ("label", "mark"),
    [
        ("<seclabel type='none'/>", Mark.WEAK),
        ("<seclabel type='none' model='dac'/>", Mark.GOOD),
        ("<seclabel type='none' model='dac'/><seclabel type='none'/>", Mark.WEAK),
    ],
)
def test_a_label_counts_for_the_model_that_it_names(label: str, mark: Mark) -> None:
    assert barriers(domain(rest=label))["security label"].mark is mark


def test_networks_folders_and_devices_are_named_with_the_changes() -> None:
    devices = """
      <interface type='network'><mac address='52:54:00:00:00:01'/><source network='lab'/>
        </interface>
      <interface type='bridge'><mac address='52:54:00:00:00:02'/><source bridge='br0'/>
        <link state='down'/></interface>
      <filesystem><source dir='/srv'/><target dir='music'/><readonly/></filesystem>
      <hostdev type='usb'><source><vendor id='0x1d6b'/><product id='0x0002'/></source></hostdev>
    """
    found = barriers(domain(devices))
    assert (found["network"].value, found["network"].mark) == ("network:lab", Mark.OPEN)
    assert found["network"].changes == (Assign("nic.net0.link", value=False),)
    shares = found["shared folders"]
    assert (shares.value, shares.mark) == ("/srv (read-only)", Mark.OPEN)
    assert shares.changes == (Detach("share.music"),)
    assert found["passthrough"].value == "1d6b:0002"
    found = barriers(domain(devices.replace("<link state='down'/>", "").replace("<readonly/>", "")))
    assert found["network"].mark is Mark.WEAK
    assert found["shared folders"].mark is Mark.WEAK


@pytest.mark.parametrize(
    ("graphics", "conf", "mark"),
    [
        ("<graphics type='vnc'><listen type='socket' socket='/run/x'/></graphics>", "", Mark.GOOD),
        ("<graphics type='vnc' socket='/run/x'/>", "", Mark.GOOD),
        ("<graphics type='spice'><listen type='none'/></graphics>", "", Mark.GOOD),
        ("<graphics type='vnc'><listen type='address'/></graphics>", "", Mark.OPEN),
        ("<graphics type='vnc'/>", "vnc_listen = '0.0.0.0'", Mark.WEAK),
        ("<graphics type='vnc' listen='::1'/>", "", Mark.OPEN),
        ("<graphics type='spice' listen='::'/>", "", Mark.WEAK),
        ("<graphics type='vnc'><listen type='network' network='lab'/></graphics>", "", Mark.WEAK),
        ("<graphics type='egl-headless'/>", "", Mark.GOOD),
    ],
)
def test_who_can_reach_a_screen(graphics: str, conf: str, mark: Mark) -> None:
    assert barriers(domain(graphics), settings.parse(conf))["graphics"].mark is mark


@pytest.mark.parametrize("path", sorted((HERE / "xml_corpus").glob("*.xml")), ids=lambda p: p.stem)
def test_every_domain_has_its_barriers(path: Path) -> None:
    found = barriers(path.read_text())
    assert {"network", "shared folders", "passthrough", "consoles", "TPM"} <= set(found)


# -- devices of the host -------------------------------------------------------------------------

USB = """<device><name>usb_1_2</name><parent>usb_usb1</parent><capability type='usb_device'>
<bus>1</bus><device>5</device><product id='0x5583'>Ultra Fit</product>
<vendor id='0x0781'>SanDisk</vendor></capability></device>"""
INTERFACE = """<device><name>usb_1_2_1_0</name><parent>{parent}</parent>
<driver><name>{driver}</name></driver>
<capability type='usb'><number>0</number><class>{kind}</class></capability></device>"""
PCI = """<device><name>pci</name><parent>computer</parent>{driver}<capability type='pci'>
<class>{kind}</class><domain>0</domain><bus>1</bus><slot>0</slot><function>{function}</function>
<product id='0x1c82'>GP107</product><vendor id='0x10de'>NVIDIA Corporation</vendor>{group}
</capability></device>"""


def pci(function: int, driver: str = "", kind: str = "0x030000", group: str = "7") -> str:
    return PCI.format(
        function=function,
        kind=kind,
        driver=f"<driver><name>{driver}</name></driver>" if driver else "",
        group=f"<iommuGroup number='{group}'/>" if group else "",
    )


def listed_pci(*texts: str, session: bool = False) -> list[HostDevice]:
    return list(host_devices._pci([parsed(text) for text in texts], session=session))


def test_usb_devices_are_listed_without_hubs() -> None:
    hub = USB.replace("usb_1_2", "usb_1_1").replace("0781", "05e3")
    root_hub = USB.replace("usb_1_2", "usb_usb1").replace("0781", "1d6b")
    devices = [
        USB,
        hub,
        root_hub,
        INTERFACE.format(parent="usb_1_2", driver="usb-storage", kind=8),
        INTERFACE.format(parent="usb_1_1", driver="hub", kind=9),
    ]
    [stick] = host_devices._usb([parsed(text) for text in devices])
    assert stick == HostDevice(HostBus.USB, "0781:5583", "SanDisk Ultra Fit", used_by="usb-storage")


def test_pci_devices_are_told_with_their_group_and_why_not() -> None:
    [card] = listed_pci(pci(0, "nouveau"), pci(1, kind="0x060400"))
    assert (card.address, card.group, card.label) == (
        "0000:01:00.0",
        7,
        "NVIDIA Corporation GP107",
    )
    # libvirt of the system takes it from its driver; that of a session can't.
    assert (card.used_by, card.unavailable) == ("nouveau", "")
    [card] = listed_pci(pci(0, "nouveau"), session=True)
    assert "bind it to vfio-pci" in card.unavailable
    [card] = listed_pci(pci(0, "nouveau", group=""))
    assert "no IOMMU in use" in card.unavailable
    card, sound = listed_pci(pci(0, "vfio-pci"), pci(1, "snd_hda_intel"))
    assert "0000:01:00.1" in card.unavailable
    assert sound.unavailable == ""


@pytest.mark.parametrize(
    ("features", "offered"),
    [
        ("<sev supported='yes'/>", {"sev"}),
        ("<sev supported='no'/>", set()),
        (
            "<sev supported='yes'/><launchSecurity supported='yes'><enum name='sectype'>"
            "<value>sev</value><value>sev-snp</value></enum></launchSecurity>",
            {"sev", "sev-snp"},
        ),
        ("<launchSecurity supported='no'/>", set()),
    ],
)
def test_what_guards_memory_is_read_from_capabilities(features: str, offered: set[str]) -> None:
    found = parse(f"<domainCapabilities><features>{features}</features></domainCapabilities>")
    assert confidential._offered(found) == offered

"""What new domains over libvirt are decided to be, before anything is made."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

pytest.importorskip("libvirt")

from vmtui.backends.libvirt import domain_facts, making, metadata, offers
from vmtui.backends.libvirt.clone_xml import Design, Wish, designed
from vmtui.backends.libvirt.create import in_order
from vmtui.backends.libvirt.devices_xml import Card, Drive, Medium
from vmtui.backends.libvirt.domain_xml import Kernel, Parts, domain_element, text_of
from vmtui.backends.libvirt.layout import image_of, image_volume
from vmtui.backends.libvirt.offers import Host
from vmtui.backends.libvirt.places import Places
from vmtui.errors import InputError, UnsupportedError
from vmtui.model import Accel, Firmware, VMId
from vmtui.parts import CloudInit, DiskBus, Forward, NicSpec
from vmtui.spec import Boot, BootKind, VMSpec

GOLDEN = Path(__file__).parent.parent / "golden" / "libvirt"
OLD, NEW = "6b1c6f0e-7d1f-4f52-9d8c-5a0f6ce2b2f1", "0c0ffee0-0000-4000-8000-000000000001"
POOL = Path("/images")
BASE = Medium("/images/vmtui-image-debian-13-0123456789ab.qcow2", "qcow2")
DISK = Drive(Medium("/images/web.qcow2", "qcow2"), backing=(BASE,), boot_order=1)
RAW = Drive(Medium("/images/web-1.img", "raw"), bus=DiskBus.SCSI)
TRAY = Drive(Medium("/srv/drivers.iso", "raw"), cdrom=True, bus=DiskBus.SATA)
SEED = Drive(Medium("/images/web-seed.iso", "raw"), cdrom=True, bus=DiskBus.SCSI)
CARD = Card("user", mac="52:54:00:01:02:03", forwards=(Forward(22, 2222),))
LOGS = ("/log/web-console.log", "/log/two-console.log")


def source(**changes: object) -> ET.Element:
    spec = VMSpec(
        "web",
        boot=Boot(BootKind.DISK, Path("/i/debian-13/disk"), "qcow2", image="debian-13"),
        firmware=Firmware.UEFI,
        tpm=True,
        tags=("a",),
        cloud_init=CloudInit(user="me", ssh_keys=("ssh-ed25519 AAAA",), password_hash="$6$a$b"),
    )
    parts = Parts(
        OLD,
        Accel.TCG,
        drives=(DISK, RAW, TRAY, SEED),
        cards=(CARD,),
        console_log=LOGS[0],
        seed=SEED.medium.path,
    )
    return domain_element(spec, replace(parts, **changes))  # type: ignore[arg-type]


def cloned(*, linked: bool, cloud_init: CloudInit | None = None, **changes: object) -> Design:
    wish = Wish("two", linked, cloud_init)
    return designed(
        source(**changes), wish, NEW, POOL, console_log=LOGS[1], free_port=lambda _: 4242
    )


@pytest.mark.parametrize("linked", [True, False], ids=["linked", "full"])
def test_a_clone_is_as_agreed(linked: bool) -> None:
    path = GOLDEN / f"clone-{'linked' if linked else 'full'}.xml"
    made = text_of(cloned(linked=linked, cloud_init=CloudInit()).domain) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(made, "utf-8")
    assert made == path.read_text("utf-8")


def test_a_clones_volumes_are_its_own_and_what_is_lent_stays() -> None:
    design = cloned(linked=True)
    assert design.own == ["two.qcow2", "two-1.qcow2", "two-seed.iso"]
    assert [copy.linked for copy in design.copies] == [True, True, False]
    made = domain_facts.read(VMId(NEW), "two", text_of(design.domain))
    assert [disk.source for disk in made.vm.disks] == [
        "/images/two.qcow2",
        "/images/two-1.qcow2",
        "/srv/drivers.iso",
        "/images/two-seed.iso",
    ]
    assert made.backing == ("/images/web.qcow2", BASE.path, "/images/web-1.img")
    assert made.own.seed == "/images/two-seed.iso"
    assert made.vm.ssh.port == 4242


def test_a_clones_seed_takes_over_what_it_is_not_told() -> None:
    design = cloned(linked=False, cloud_init=CloudInit(hostname="h", ssh_keys=("mine",)))
    assert design.cloud_init == CloudInit(hostname="h", user="me", ssh_keys=("mine",))
    assert design.seed == "two-seed.iso"
    plain = cloned(linked=False, cloud_init=CloudInit(user_data="#cloud-config"))
    assert plain.cloud_init == CloudInit(user_data="#cloud-config")


def test_a_clone_gets_a_seed_also_where_the_other_has_none() -> None:
    design = cloned(linked=True, cloud_init=CloudInit(), drives=(DISK, TRAY), seed="")
    made = domain_facts.read(VMId(NEW), "two", text_of(design.domain))
    assert made.vm.disks[-1].source == "/images/two-seed.iso" == made.own.seed
    targets = [disk.target for disk in made.vm.disks]
    assert len(set(targets)) == len(targets)


def test_a_clone_of_the_micro_image_calls_itself_by_its_own_name() -> None:
    kernel = Kernel("/images/k", "/images/i", "quiet vmtui.hostname=web single")
    made = cloned(linked=True, drives=(), seed="", kernel=kernel).domain
    assert made.findtext("os/cmdline") == "quiet vmtui.hostname=two single"


def test_disks_that_are_no_files_are_not_cloned() -> None:
    domain = source()
    devices = domain.find("devices")
    assert devices is not None
    ET.SubElement(devices, "disk", type="block").append(ET.Element("source", dev="/dev/sdx"))
    with pytest.raises(UnsupportedError, match="/dev/sdx"):
        designed(domain, Wish("two", True, None), NEW, POOL, console_log=LOGS[1], free_port=None)


def test_the_boot_order_is_that_of_the_spec_and_never_the_seed() -> None:
    drives, cards = in_order(
        ("network", "cdrom", "disk"), [DISK, TRAY, SEED], [CARD], SEED.medium.path
    )
    assert [card.boot_order for card in cards] == [1]
    assert [drive.boot_order for drive in drives] == [3, 2, None]


def test_images_are_known_by_their_paths() -> None:
    library = Path("/home/me/images")
    name = image_volume("debian-13", "0123456789abcdef", "qcow2")
    assert image_of(f"/pool/{name}", library) == "debian-13"
    assert image_of("/home/me/images/debian-13/disk.qcow2", library) == "debian-13"
    for other in ("/pool/web.qcow2", "/home/me/disk.qcow2", "vmtui-image-", ""):
        assert image_of(other, library) is None


def test_a_mark_is_left_over_once_its_maker_has_failed_or_is_gone() -> None:
    with making.marked(NEW) as mark:
        assert not making.is_left_over(mark)
        assert making.is_being_made(mark)
    # Whoever looked before the end may ask only now: that is whole, and nothing to be removed.
    assert not making.is_left_over(mark)
    with pytest.raises(ZeroDivisionError), making.marked(NEW):
        raise ZeroDivisionError
    assert making.is_left_over(mark)
    assert "interrupted" in making.told(mark)
    assert "another machine" in making.told(f"elsewhere {mark.partition(' ')[2]}")
    machine, boot, pid, ticks, vm = mark.split(" ")
    assert making.is_left_over(f"{machine} {boot} {pid} {int(ticks) + 1} {vm}")
    assert making.is_left_over(f"{machine} another {pid} {ticks} {vm}")
    assert not making.is_left_over(f"elsewhere {boot} {pid} {ticks} {vm}")
    for odd in ("", "x", f"{machine} {boot} ² {ticks} {vm}", f"{machine} {boot} -1 0 {vm}"):
        assert not making.is_left_over(odd)
        assert not making.is_being_made(odd)


@pytest.mark.parametrize(
    ("version", "local", "error"),
    [(8_000_000, True, UnsupportedError), (10_000_000, False, InputError)],
)
def test_forwards_that_cannot_be_are_refused_with_a_way_out(
    version: int, local: bool, error: type[Exception]
) -> None:
    host = Host("x86_64", False, version, Places(local=local, session=True))
    with pytest.raises(error) as raised:
        offers._forwards(host, NicSpec(forwards=(Forward(22),)))
    assert raised.value.hint  # type: ignore[attr-defined]


def test_forwards_keep_the_ports_they_are_given() -> None:
    host = Host("x86_64", False, 10_000_000, Places(local=False, session=True))
    forward = Forward(22, 2222)
    assert offers._forwards(host, NicSpec(forwards=(forward,))) == (forward,)


def test_metadata_alone_is_the_same() -> None:
    own = metadata.read(source())
    alone = ET.fromstring(metadata.text(own))
    assert alone.tag == "vm"
    assert ET.tostring(alone).count(b"xmlns") == 0

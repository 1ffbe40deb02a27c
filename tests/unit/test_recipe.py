"""VMs as users write them: TOML, presets, parts in a line, plans of files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from vmtui import part_texts, presets
from vmtui.errors import InputError
from vmtui.file_plan import Step, plan
from vmtui.making import completed
from vmtui.model import VM, Firmware, State, VMId
from vmtui.own_keys import own_keys
from vmtui.parts import (
    CloudInit,
    DiskBus,
    DiskSpec,
    Forward,
    NetworkKind,
    NicSpec,
    SharedFolder,
    Topology,
)
from vmtui.recipe import Recipe, read_file, read_preset, specified
from vmtui.spec import MICRO, Boot, BootKind
from vmtui.units import GIB, MIB

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ me@desk"
OTHER_KEY = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAB it@desk"
CLOUD = Boot(BootKind.DISK, Path("/i.qcow2"), "qcow2", 3 * GIB, "debian-13", cloud=True, user="deb")

WHOLE = f"""
[[vm]]
name = "web"
image = "debian-13"
vcpus = 4
topology = "1x2x2"
cpu_model = "Nehalem"
memory = "2G"
balloon = "512M"
disk = "20G"
full_copy = true
disks = ["10G,bus=scsi,cache=none,discard=off"]
media = ["/iso/drivers.iso"]
firmware = "uefi"
tpm = true
accel = "tcg"
network = ["bridge:br0", "user"]
forward = ["2222:22", "80"]
share = ["/src:src,ro"]
graphics = false
boot_order = ["disk", "network"]
hyperv = true
hostname = "web.lab"
user = "me"
ssh_keys = ["own", "{OTHER_KEY}"]
password_hash = "$6$salt$hash"
packages = ["nginx"]
commands = ["touch /done"]
description = "the web"
tags = ["lab"]
autostart = true

[[vm]]
name = "micro"
preset = "micro"
"""


def test_all_of_a_file_comes_into_the_spec() -> None:
    web, micro = read_file(WHOLE, "f.toml")
    spec, unread = specified(web, CLOUD, [KEY])
    assert not unread
    assert (spec.name, spec.boot, spec.vcpus) == ("web", CLOUD, 4)
    assert spec.topology == Topology(1, 2, 2)
    assert (spec.memory_bytes, spec.balloon_floor_bytes) == (2 * GIB, 512 * MIB)
    assert spec.disk_bytes == 20 * GIB
    assert spec.disks == (DiskSpec(10 * GIB, DiskBus.SCSI, "none", discard=False),)
    assert spec.nics == (
        NicSpec(NetworkKind.BRIDGE, "br0"),
        NicSpec(forwards=(Forward(22, 2222), Forward(80))),
    )
    assert spec.shares == (SharedFolder(Path("/src"), "src", read_only=True),)
    assert spec.cloud_init == CloudInit(
        hostname="web.lab",
        user="me",
        ssh_keys=(KEY, OTHER_KEY),
        password_hash="$6$salt$hash",
        packages=("nginx",),
        commands=("touch /done",),
    )
    assert (spec.ssh_user, spec.firmware, spec.graphics) == ("me", Firmware.UEFI, False)
    assert all((spec.full_copy, spec.tpm, spec.hyperv, spec.autostart))
    assert micro.preset == "micro"


def test_what_is_not_said_is_left_to_the_image_and_the_connection() -> None:
    spec, _ = specified(Recipe(name="a"), CLOUD, [KEY])
    assert (spec.memory_bytes, spec.disk_bytes) == (2 * GIB, 10 * GIB)
    assert spec.nics is None
    assert spec.cloud_init == CloudInit(ssh_keys=(KEY,))
    assert spec.ssh_user == "deb"
    assert specified(Recipe(name="a", ssh_keys=("own",)), MICRO, [KEY])[0].cloud_init is None
    assert specified(Recipe(name="a", cloud_init=False), CLOUD, [KEY])[0].cloud_init is None
    assert specified(Recipe(name="a", disk="none"), CLOUD)[0].disk_bytes is None
    assert specified(Recipe(name="a", network="none"), CLOUD)[0].nics == ()


def test_what_can_not_be_read_is_told_by_its_key() -> None:
    recipe = Recipe(
        name="a", memory="12", disk="x", balloon="y", topology="4", network="wifi", share=("/a,x",)
    )
    _, unread = specified(recipe, MICRO)
    fields = {problem.field for problem in unread}
    assert fields == {"memory", "disk", "balloon", "topology", "network", "share"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[vm]]\nvcpus = 2\n", "f.toml: vm[0]: name: every VM needs one"),
        ('[[vm]]\nname = "a"\nvcpus = "2"\n', "f.toml: vm[0].vcpus: expected `int`, got `str`"),
        ('[[vm]]\nname = "a"\ncpus = 2\n', "f.toml: vm[0]: object contains unknown field `cpus`"),
        ('[[vm]]\nname = "a"\n[[vm]]\nname = "a"\n', "f.toml: vm[1]: name: 'a' is there twice"),
        ("[[vm\n", "f.toml is not valid TOML"),
        ("", "f.toml has no [[vm]] in it"),
        ('[[vm]]\nname = "a"\nfirmware = "x"\n', "f.toml: vm[0].firmware: invalid enum value 'x'"),
    ],
)
def test_errors_name_file_key_and_reason(text: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        read_file(text, "f.toml")
    assert str(caught.value).startswith(told)


def test_presets_of_vmtui_can_all_be_read(tmp_path: Path) -> None:
    assert presets.names(tmp_path) == list(presets.ORDER)
    for name in presets.ORDER:
        preset = presets.preset(name, tmp_path)
        assert preset.about
        _, unread = specified(preset.recipe, MICRO)
        assert not unread
    windows = presets.preset("windows-11", tmp_path).recipe
    assert (windows.firmware, windows.tpm, windows.hyperv) == (Firmware.SECURE_BOOT, True, True)


def test_own_presets_come_before_those_of_vmtui_and_are_gone_over(tmp_path: Path) -> None:
    (tmp_path / "dev.toml").write_text('memory = "9G"\nvcpus = 8\n')
    (tmp_path / "lab.toml").write_text("# For the lab\ntpm = true\n")
    assert presets.names(tmp_path) == [*presets.ORDER, "lab"]
    recipe = presets.applied(Recipe(name="a", preset="dev", vcpus=1), tmp_path)
    assert (recipe.memory, recipe.vcpus, recipe.image) == ("9G", 1, None)
    assert presets.preset("lab", tmp_path).about == "For the lab"
    for name in ("nope", "../dev", ""):
        with pytest.raises(InputError, match="there is no preset"):
            presets.preset(name, tmp_path)


@pytest.mark.parametrize(
    ("read", "text", "part"),
    [
        (part_texts.forward, "22", Forward(22)),
        (part_texts.forward, "0.0.0.0:80:8080", Forward(8080, 80, "0.0.0.0")),
        (part_texts.network, "network:default", NicSpec(NetworkKind.NETWORK, "default")),
        (part_texts.disk, "1.5G", DiskSpec(3 * GIB // 2)),
        (part_texts.share, "/a/b", SharedFolder(Path("/a/b"), "b")),
        (part_texts.share, "/a:b:c,9p", SharedFolder(Path("/a:b"), "c", protocol="9p")),
        (part_texts.topology, "2 x 4 x 1", Topology(2, 4, 1)),
    ],
)
def test_parts_in_a_line(read: object, text: str, part: object) -> None:
    assert callable(read)
    assert read(text) == part


async def test_files_that_a_recipe_names_are_beside_it(tmp_path: Path) -> None:
    (tmp_path / "me.pub").write_text(f"{KEY}\n")
    (tmp_path / "init.yaml").write_text("#cloud-config\npackages: [vim]\n")
    recipe = Recipe(
        name="a",
        image="./disk.qcow2",
        ssh_keys=("own", "me.pub", OTHER_KEY),
        user_data="init.yaml",
        media=("drivers.iso",),
        share=("src:s",),
    )
    whole = await completed(recipe, tmp_path)
    assert whole.ssh_keys == ("own", KEY, OTHER_KEY)
    assert whole.user_data == "#cloud-config\npackages: [vim]\n"
    assert whole.media == (str(tmp_path / "drivers.iso"),)
    assert whole.share == (f"{tmp_path}/src:s",)
    assert whole.image == str(tmp_path / "disk.qcow2")
    with pytest.raises(InputError, match=r"gone\.pub can't be read"):
        await completed(Recipe(ssh_keys=("gone.pub",)), tmp_path)


async def test_own_keys_are_those_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    assert await own_keys(tmp_path) == ()
    folder = tmp_path / ".ssh"
    folder.mkdir()
    (folder / "id_a.pub").write_text(f"{KEY}\n")
    (folder / "id_b.pub").write_text(f"{KEY.partition('me@')[0]}elsewhere\n")
    (folder / "id_c.pub").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    (folder / "id_d.pub").write_bytes(b"\xff\xfe")
    (folder / "known_hosts").write_text(OTHER_KEY)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "gone"))
    assert await own_keys(tmp_path) == (KEY,)


def test_a_plan_tells_what_is_there_and_how_it_differs() -> None:
    there = VM(VMId("1"), "web", State.OFF, 2, 2 * GIB, image="debian-13", tags=("b", "a"))
    same = Recipe(name="web", vcpus=2, memory="2G", tags=("a", "b"), image="debian-13")
    other = msgspec.structs.replace(same, memory="4G", tpm=True, description="x", image="\x1b[31m")
    found = plan([same, Recipe(name="new")], [there])
    assert [planned.step for planned in found] == [Step.SAME, Step.MAKE]
    assert [str(planned) for planned in found] == ["web: is there, same", "new: make"]
    (planned,) = plan([other], [there])
    assert planned.step is Step.DIFFERS
    assert str(planned) == (
        "web: is there, differs: TPM no, not yes; image debian-13, not none; "
        "description none, not x; memory 2 GiB, not 4 GiB"
    )
    assert plan([Recipe(name="web")], [replace(there, tpm=True)])[0].step is Step.SAME


def test_a_preset_is_a_recipe_without_a_name() -> None:
    assert read_preset('memory = "1G"', "p.toml") == Recipe(memory="1G")

"""Arguments of `create`, `preset`, `sandbox` and `clone`."""

from __future__ import annotations

import argparse
from collections.abc import Callable

Add = Callable[..., argparse.ArgumentParser]


def add_arguments(add: Add) -> None:
    """All of them."""
    _add_create(add)
    _add_preset(add)
    sandbox = add(
        "sandbox",
        "Start a throwaway VM: no network, nothing to write to, gone once it is off.",
        json=True,
    )
    sandbox.add_argument("image", metavar="IMAGE", nargs="?", default="micro")
    sandbox.add_argument("--net", action="store_true", help="with a network that leads out")
    sandbox.add_argument(
        "--name", metavar="NAME", help="what it is called (default: a name that is free)"
    )
    _add_size(sandbox)
    add_wait(sandbox, "wait for the login prompt, and say how long it took")
    clone = add("clone", "Make a VM like one that is off, with disks of its own.", json=True)
    clone.add_argument("name", metavar="NAME")
    clone.add_argument("new", metavar="NEW")
    kind = clone.add_mutually_exclusive_group()
    kind.add_argument(
        "--full", action="store_true", help="copy its disks; both can run (the default)"
    )
    kind.add_argument(
        "--linked",
        action="store_true",
        help="at once: disks lean on those of NAME, which can't be started or deleted then",
    )


def _add_preset(add: Add) -> None:
    preset = add("preset", "Recipes by name, to begin new VMs with.")
    verbs = preset.add_subparsers(dest="verb", metavar="VERB", required=True, title="verbs")
    add("list", "List vmtui's presets and your own.", json=True, to=verbs)
    show = add("show", "Print one as TOML.", to=verbs)
    show.add_argument("name", metavar="PRESET")
    save = add("save", "Keep what a VM is made of as a preset of your own.", to=verbs)
    save.add_argument("name", metavar="PRESET")
    save.add_argument("vm", metavar="NAME")


def _add_create(add: Add) -> None:
    create = add("create", "Create a VM, or those in a file.", json=True)
    create.add_argument("name", metavar="NAME", nargs="?")
    create.add_argument(
        "-f", "--file", metavar="FILE", help="the [[vm]] of a TOML file; what is there is left"
    )
    create.add_argument("--plan", action="store_true", help="with -f: only say what it comes to")
    create.add_argument("-y", "--yes", action="store_true", help="with -f: do not ask")
    create.add_argument("--preset", metavar="PRESET", help="begin with a preset, such as dev")
    create.add_argument(
        "--image",
        metavar="IMAGE",
        help="one of the library or the catalogue, micro (the embedded one, which is the default), "
        "none, or a disk image or ISO",
    )
    _add_size(create)
    create.add_argument("--disk", metavar="SIZE", help="such as 20G")
    create.add_argument(
        "--full-copy",
        "--no-overlay",
        action="store_true",
        default=None,
        help="copy the image of the library, instead of a disk that leans on it",
    )
    _add_parts(create)
    _add_cloud_init(create)
    create.add_argument("--description", metavar="TEXT", help="one line on what it is for")
    create.add_argument(
        "--tag",
        metavar="TAG",
        action="append",
        help="a word to find it by; may be given several times",
    )
    create.add_argument(
        "--autostart", action="store_true", default=None, help="start it with the host"
    )
    create.add_argument("--start", action="store_true", help="start it as well")
    create.add_argument(
        "--dry-run",
        action="store_true",
        help="print what would run, QEMU's command line or libvirt's XML, and make nothing",
    )
    add_wait(
        create,
        "with --start: wait for ssh where cloud-init sees to it, else for the login prompt, "
        "and say how long each stage took",
    )


def _add_size(command: argparse.ArgumentParser) -> None:
    command.add_argument("--cpus", type=int, metavar="N", help="vCPUs (default: 1)")
    command.add_argument("--memory", metavar="SIZE", help="such as 512M or 2G")


def _add_parts(create: argparse.ArgumentParser) -> None:
    create.add_argument(
        "--firmware", choices=("bios", "uefi", "secure-boot"), help="what boots it (default: bios)"
    )
    create.add_argument("--tpm", action="store_true", default=None, help="add a TPM 2.0")
    create.add_argument(
        "--accel", choices=("auto", "kvm", "tcg"), help="what runs it (default: auto)"
    )
    create.add_argument(
        "--add-disk",
        metavar="SIZE[,bus=BUS]",
        action="append",
        help="one more disk, empty; may be given several times",
    )
    create.add_argument(
        "--media", metavar="ISO", action="append", help="one more ISO in a tray, such as drivers"
    )
    create.add_argument(
        "--network",
        metavar="NETWORK",
        action="append",
        help="user, isolated, network:NAME, bridge:NAME or none; may be given several times",
    )
    create.add_argument(
        "--forward",
        metavar="[HERE:]THERE",
        action="append",
        help="a TCP port of this machine that leads to the guest's, such as 2222:22",
    )
    create.add_argument(
        "--share",
        metavar="FOLDER[:TAG][,ro]",
        action="append",
        help="a folder of this machine in the guest; may be given several times",
    )


def _add_cloud_init(create: argparse.ArgumentParser) -> None:
    create.add_argument("--user", metavar="USER", help="whom cloud-init makes, and ssh takes")
    create.add_argument(
        "--ssh-key",
        metavar="KEY",
        action="append",
        help="a public key or its file, or own: those of this user, which is the default",
    )
    create.add_argument(
        "--cloud-init", metavar="FILE", help="user-data of your own, in place of all else"
    )


def add_wait(command: argparse.ArgumentParser, about: str) -> None:
    """`--wait` and `--timeout`."""
    command.add_argument("--wait", action="store_true", help=about)
    command.add_argument(
        "--timeout", type=float, default=300.0, metavar="S", help="for --wait (default: 300)"
    )

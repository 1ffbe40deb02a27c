"""Arguments of `images` and what it can do, and of `export`."""

from __future__ import annotations

import argparse

from vmtui.arguments.creating import Add


def add_arguments(add: Add) -> None:
    """`images` with its verbs, and `export`."""
    images = add("images", "The library of images, and the catalogue that it is filled from.")
    verbs = images.add_subparsers(dest="verb", metavar="VERB", required=True, title="verbs")

    def verb(name: str, about: str, *, json: bool = False) -> argparse.ArgumentParser:
        return add(name, about, json=json, to=verbs)

    about = "List what is here and what can be had, and how many VMs use it."
    form = verb("list", about).add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--names", action="store_true", help="print only names, one a line")
    show = verb("show", "Show all that is known of an image, and which VMs lean on it.", json=True)
    show.add_argument("name", metavar="IMAGE")
    pull = verb("pull", "Download images of the catalogue, verified, into the library.", json=True)
    pull.add_argument("names", metavar="IMAGE", nargs="+")
    remove = verb("remove", "Delete images that no VM leans on.")
    remove.add_argument("names", metavar="IMAGE", nargs="+")
    remove.add_argument("-y", "--yes", action="store_true", help="do not ask")
    verify = verb("verify", "Look whether images are still what they were when they came.")
    verify.add_argument("names", metavar="IMAGE", nargs="*", help="(default: all)")
    _add_import(verb("import", "Take the disks of a file or VM from elsewhere.", json=True))
    _add_target(verb("export", "Write an image to a file of its own."), "IMAGE")
    _add_target(
        add("export", "Write a VM that is off to a file that other programs import."), "NAME"
    )


def _add_target(command: argparse.ArgumentParser, of: str) -> None:
    command.add_argument("name", metavar=of)
    command.add_argument(
        "file", metavar="FILE", help="a new one; its ending says what: .ova, .qcow2, .raw, .vmdk…"
    )


def _add_import(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "file",
        metavar="FILE",
        help="qcow2, raw, VMDK, VDI, VHD, VHDX, OVA, OVF, .vmx, libvirt's XML, quickemu's .conf, "
        "Lima's YAML or an ISO, compressed as well; or a Linux kernel",
    )
    command.add_argument("--name", metavar="NAME", help="in the library (default: as the file)")
    command.add_argument("--initrd", metavar="FILE", help="a kernel's initial RAM disk")
    command.add_argument("--append", metavar="CMDLINE", help="a kernel's command line")
    command.add_argument(
        "--plan", action="store_true", help="only say what would come, and what would not"
    )
    command.add_argument(
        "--virt-v2v",
        action="store_true",
        help="let virt-v2v give the guest drivers for the hardware of VMs here",
    )

"""Arguments of what changes a VM that exists: `set`, `edit`, `attach`, `balloon`, `tpm`…"""

from __future__ import annotations

import argparse

from vmtui.arguments.creating import Add


def add_arguments(add: Add) -> None:
    """All of them."""
    _add_changes(add)
    _add_edit(add)
    _add_memory(add)
    _add_tpm(add)
    _add_firmware(add)
    _add_isolation(add)
    _add_trash(add)


def add_deletion(delete: argparse.ArgumentParser) -> None:
    """What `delete` takes beside names."""
    delete.add_argument(
        "--plan", action="store_true", help="only say what would go, and what would stay"
    )
    delete.add_argument(
        "--keep",
        metavar="WHAT",
        action="append",
        default=[],
        help="leave this as it is: a file that would go, or all of a kind, such as disk; "
        "may be given several times",
    )
    delete.add_argument(
        "--trash", action="store_true", help="so that it can be had again: vmtui trash"
    )
    delete.add_argument("--json", action="store_true", help="with --plan: print JSON")


def _add_changes(add: Add) -> None:
    change = add("set", "Change settings of a VM, live where that can be.", json=True)
    _add_name(change)
    change.add_argument(
        "settings", metavar="KEY=VALUE", nargs="+", help="such as memory=4G; see: vmtui settings"
    )
    _add_when(change)
    table = add("settings", "List all settings of VMs, and what they can be.", json=True)
    table.add_argument("key", metavar="KEY", nargs="?", help="only this one, or those of cpu")
    attach = add("attach", "Give a VM devices, live where that can be.", json=True)
    _add_name(attach)
    attach.add_argument(
        "devices",
        metavar="DEVICE",
        nargs="+",
        help="such as disk:10G,bus=scsi, disk:/path/file.qcow2,ro, cdrom:/path/file.iso, "
        "nic:bridge:br0,model=e1000, share:/path:tag, usb:1d6b:0002, pci:0000:00:1f.2 or "
        "console:virtio",
    )
    _add_when(attach)
    detach = add("detach", "Take devices away from a VM; files of disks stay.", json=True)
    _add_name(detach)
    detach.add_argument(
        "parts", metavar="PART", nargs="+", help="such as disk.vdb; see: vmtui show NAME --hardware"
    )
    _add_when(detach)
    undo = add("undo", "Bring back what was before the last change of a VM.", json=True)
    _add_name(undo)
    _add_plan(undo)
    devices = add("devices", "List devices of the host that VMs can be given.", json=True)
    add("cores", "List the host's CPUs, and which threads of VMs are kept to them.", json=True)
    devices.add_argument("--all", action="store_true", help="those that can't be given as well")


def _add_edit(add: Add) -> None:
    edit = add("edit", "Edit the definition of a VM in $VISUAL or $EDITOR.")
    _add_name(edit)
    edit.add_argument(
        "--from", dest="source", metavar="FILE", help="begin with this, such as an edit that failed"
    )
    _add_when(edit, plan=False)
    edit.add_argument("-y", "--yes", action="store_true", help="do not ask")


def _add_memory(add: Add) -> None:
    ksm = add("ksm", "Sharing of equal memory pages on this machine, and what it saves.", json=True)
    ksm.add_argument(
        "what",
        nargs="?",
        choices=("on", "off", "unmerge"),
        help="off keeps shared what is; unmerge gives each its own again",
    )
    ksm.add_argument("-y", "--yes", action="store_true", help="do not ask")
    balloon = add("balloon", "Give a running VM memory, or take it, by its balloon.", json=True)
    _add_name(balloon)
    balloon.add_argument(
        "size", metavar="SIZE", nargs="?", help="what it is to have; without it: what it has"
    )
    balloon.add_argument(
        "--wait", action="store_true", help="see what the guest makes of it, and say so"
    )
    balloon.add_argument(
        "--below-floor", action="store_true", help="even if the guest may run out of memory"
    )


def _add_tpm(add: Add) -> None:
    tpm = add("tpm", "A VM's software TPM and its state.", json=True)
    _add_name(tpm)
    tpm.add_argument(
        "what",
        nargs="?",
        choices=("show", "add", "remove", "backup", "restore", "clear"),
        default="show",
    )
    _add_file(tpm, "of backup and restore")
    tpm.add_argument("--model", choices=("crb", "tis"), default="crb", help="of add")
    tpm.add_argument(
        "--encrypted", action="store_true", help="of add: its state, by a key of its own"
    )
    _add_plan(tpm)


def _add_firmware(add: Add) -> None:
    firmware = add("firmware", "A VM's firmware and its variables.", json=True)
    _add_name(firmware)
    firmware.add_argument("what", nargs="?", choices=("show", "reset", "backup"), default="show")
    _add_file(firmware, "of backup; of reset: variables to begin with, such as keys of your own")
    firmware.add_argument("-y", "--yes", action="store_true", help="do not ask")


def _add_isolation(add: Add) -> None:
    _add_name(add("isolation", "What keeps a VM's guest from all else.", json=True))
    restrict = add("restrict", "No network, no sharing, no merging for a VM.", json=True)
    _add_name(restrict)
    _add_when(restrict)


def _add_trash(add: Add) -> None:
    trash = add("trash", "Deleted VMs that can be had again.", json=True)
    trash.add_argument("what", nargs="?", choices=("list", "restore", "empty"), default="list")
    trash.add_argument("names", metavar="NAME", nargs="*", help="of restore and empty")
    trash.add_argument("-y", "--yes", action="store_true", help="do not ask")


def _add_name(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", metavar="NAME")


def _add_file(command: argparse.ArgumentParser, about: str) -> None:
    command.add_argument("file", metavar="FILE", nargs="?", help=about)


def _add_when(command: argparse.ArgumentParser, *, plan: bool = True) -> None:
    when = command.add_mutually_exclusive_group()
    when.add_argument(
        "--live",
        dest="when",
        action="store_const",
        const="live",
        default="auto",
        help="only as long as it runs; refused where that can't be",
    )
    when.add_argument(
        "--next-boot",
        dest="when",
        action="store_const",
        const="next-boot",
        help="not before its next boot (default: for good, and live where that can be)",
    )
    if plan:
        _add_plan(command)
    else:
        _add_confirm(command)


def _add_plan(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--plan", action="store_true", help="only say what it comes to; nothing is changed"
    )
    _add_confirm(command)


def _add_confirm(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--confirm", metavar="NAME", help="the VM's name once more, where something is lost by it"
    )

"""Whether what `vm.toml` says makes sense, as far as that can be told without the host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from vmtui.backends.kvm.definition import VERSION, Definition
from vmtui.backends.kvm.hardware import (
    check_disk,
    check_host_device,
    check_kernel,
    check_nic,
    check_share,
    check_size,
)
from vmtui.parts import DiskBus
from vmtui.spec import BootKind
from vmtui.units import MIB, parse_size_bytes, size

_UUID = re.compile(r"[A-Za-z0-9-]{1,64}")
"""As those that know the VM by it need it: files and folders are called after it."""
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}\$?")
_CPU = re.compile(r"[A-Za-z0-9_.+-]+(,[A-Za-z0-9_.+=-]+)*")
SATA_PORTS = 6
"""Of the machine; disks and media share them."""
IDE_DISKS = 4
"""Of one controller: two channels of two."""
FIRST_CID = 3
"""The addresses below have a meaning of their own (vsock(7))."""
MEMORY_BLOCK_BYTES = 128 * MIB
"""Linux takes memory in such blocks, and QEMU DIMMs and virtio-mem in parts of them."""
SERIAL_PORTS = 4
"""What a PC has; virtio consoles are not limited like that."""


def convert(content: dict[str, Any]) -> Definition:
    """A checked definition. Raises msgspec.ValidationError or ValueError with key and reason."""
    version = content.get("version")
    if version != VERSION:
        raise ValueError(f"version is {version!r}; this vmtui reads version {VERSION}")
    definition = msgspec.convert(content, Definition)
    if not _UUID.fullmatch(definition.uuid):
        raise ValueError(f"uuid = {definition.uuid!r} is not made of letters, digits and '-'")
    if definition.console.count("serial") > SERIAL_PORTS:
        raise ValueError(f"console: there are {SERIAL_PORTS} serial ports at most")
    for key, path in _paths(definition):
        if "\0" in path:
            raise ValueError(f"{key} = {path!r} is not a path")
    for disk in definition.disk:
        check_disk(disk)
    for nic in definition.nic:
        check_nic(nic)
    for device in definition.host_device:
        check_host_device(device)
    for share in definition.share:
        check_share(share)
    if len({share.tag for share in definition.share}) < len(definition.share):
        raise ValueError("share: two folders have the same tag")
    if definition.ssh.user and not _USER.fullmatch(definition.ssh.user):
        raise ValueError(f"ssh: user = {definition.ssh.user!r} is not a user's name")
    _check_boot(definition)
    _check_memory(definition)
    _check_machine(definition)
    _check_drives(definition)
    return definition


def _paths(definition: Definition) -> Iterator[tuple[str, str]]:
    """The files and folders that it names, by key."""
    yield "tpm_key", definition.tpm_key
    if definition.kernel is not None:
        yield "kernel: file", definition.kernel.file
        yield "kernel: initrd", definition.kernel.initrd
    for disk in definition.disk:
        yield "disk: file", disk.file
        yield from (("disk: base", base.file) for base in disk.base)
    yield from (("share: path", share.path) for share in definition.share)


def _check_boot(definition: Definition) -> None:
    if (definition.kernel is not None) is not (definition.boot is BootKind.KERNEL):
        raise ValueError('boot = "kernel" and a [kernel] belong together')
    if definition.kernel is not None:
        check_kernel(definition.kernel)


def _check_machine(definition: Definition) -> None:
    topology = definition.topology
    if definition.vcpus_max and definition.vcpus_max < definition.vcpus:
        raise ValueError(
            f"vcpus_max = {definition.vcpus_max} is less than vcpus = {definition.vcpus}"
        )
    if topology and topology.vcpus != definition.vcpus_limit:
        raise ValueError(
            f"topology: {topology.sockets} sockets, {topology.cores} cores and "
            f"{topology.threads} threads are {topology.vcpus} vCPUs, not {definition.vcpus_limit}"
        )
    if definition.cpu and not _CPU.fullmatch(definition.cpu):
        raise ValueError(f"cpu = {definition.cpu!r} is not a model, with or without features")
    if definition.tpm_model == "crb" and definition.tpm_version == "1.2":
        raise ValueError("tpm: a TPM 1.2 is for the model tis only")
    if 0 < definition.vsock < FIRST_CID:
        raise ValueError(f"vsock = {definition.vsock}: a guest's address is {FIRST_CID} or more")


def _check_memory(definition: Definition) -> None:
    for key in ("memory", "memory_max", "memory_plugged", "balloon_floor"):
        if text := getattr(definition, key):
            check_size(key, text)
    for key in ("least", "most", "reserve"):
        if text := getattr(definition.balance, key):
            check_size(f"balance: {key}", text)
    if definition.memory_bytes < MIB:
        raise ValueError("memory is less than 1M")
    _check_room(definition)
    _check_below_memory(definition)


def _check_room(definition: Definition) -> None:
    memory_bytes, limit_bytes = definition.memory_bytes, definition.memory_max_bytes
    if limit_bytes < memory_bytes:
        raise ValueError(f"memory_max = {definition.memory_max} is less than the memory")
    room_bytes = limit_bytes - memory_bytes
    if definition.plugged_bytes > room_bytes:
        raise ValueError(
            f"memory_plugged = {definition.memory_plugged}: memory_max leaves room for "
            f"{size(room_bytes)}"
        )
    if room_bytes % MEMORY_BLOCK_BYTES or definition.plugged_bytes % MEMORY_BLOCK_BYTES:
        raise ValueError(
            f"memory_max and memory_plugged: memory is plugged in by "
            f"{size(MEMORY_BLOCK_BYTES)} at a time"
        )


def _check_below_memory(definition: Definition) -> None:
    limit_bytes, balance = definition.memory_max_bytes, definition.balance
    for key, value in (
        ("balloon_floor", definition.balloon_floor),
        ("balance: least", balance.least),
        ("balance: most", balance.most),
        ("balance: reserve", balance.reserve),
    ):
        if value and parse_size_bytes(value) > limit_bytes:
            raise ValueError(f"{key} = {value} is more than the VM's memory")
    least, most = (
        parse_size_bytes(text or definition.memory) for text in (balance.least, balance.most)
    )
    if balance.least and balance.most and least > most:
        raise ValueError("balance: least is more than most")


def _check_drives(definition: Definition) -> None:
    ports = definition.ports_used
    twice = next((port for port in ports if ports.count(port) > 1), 0)
    if twice:
        raise ValueError(f"port = {twice} has two cards in it")
    on_sata = sum(disk.guest_bus is DiskBus.SATA for disk in definition.disk)
    if on_sata > SATA_PORTS:
        raise ValueError(f"disk: {on_sata} on SATA; the machine has {SATA_PORTS} ports")
    on_ide = sum(disk.guest_bus is DiskBus.IDE for disk in definition.disk)
    if on_ide > IDE_DISKS:
        raise ValueError(f"disk: {on_ide} on IDE; its controller takes {IDE_DISKS}")

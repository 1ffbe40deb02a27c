"""Shares of the CPU by control groups: where there is a tree for it, and why not elsewhere."""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vmtui.backends.kvm.tuning import USUAL_WEIGHT, Tuned
from vmtui.command import run
from vmtui.errors import OperationError, UnsupportedError
from vmtui.units import plain

ASK_TIMEOUT_S = 10.0

_SYSTEMD = "org.freedesktop.systemd1"
_US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True)
class Tree:
    """Where groups can be made: by systemd for its `user` (or the system), else in a `folder`."""

    mount: Path
    folder: Path | None = None
    user: bool = False


def find(root: Path = Path("/")) -> Tree | str:
    """The tree that this user can make groups in, or why there is none."""
    mount = _mount(root)
    if mount is None:
        return "this host has no cgroup v2"
    if "cpu" not in _words(mount / "cgroup.controllers"):
        return "the host's cgroup v2 has no cpu controller (version 1 has it)"
    return _systemd(mount) if (root / "run/systemd/system").is_dir() else _plain(mount, root)


def _plain(mount: Path, root: Path) -> Tree | str:
    own = _group_of("self", root)
    if own is None:
        return "this process is in no group of cgroup v2"
    # A group with processes in it can't have groups that share: only the root, or a sibling, can.
    parent = mount / own.strip("/") if own == "/" else (mount / own.strip("/")).parent
    if "cpu" not in _words(parent / "cgroup.subtree_control"):
        return f"{parent} does not share out the CPU (cpu is not in its cgroup.subtree_control)"
    if not os.access(parent, os.W_OK):
        return f"{parent} is not delegated to this user"
    return Tree(mount, parent)


def _systemd(mount: Path) -> Tree | str:
    if shutil.which("busctl") is None:
        return "busctl is not installed, which asks systemd for a group"
    user = os.getuid()
    if user == 0:
        return Tree(mount)
    service = mount / f"user.slice/user-{user}.slice/user@{user}.service"
    if not service.is_dir():
        return "systemd runs nothing for this user (loginctl enable-linger)"
    if "cpu" not in _words(service / "cgroup.controllers"):
        return (
            "systemd delegates no CPU to users; an administrator allows it by "
            "Delegate=cpu in a drop-in of user@.service"
        )
    return Tree(mount, user=True)


def _mount(root: Path) -> Path | None:
    with suppress(OSError):
        for line in (root / "proc/self/mountinfo").read_text("utf-8", "replace").splitlines():
            fields, _, kind = line.partition(" - ")
            if kind.startswith("cgroup2 "):
                return root / fields.split()[4].lstrip("/")
    return None


def _group_of(pid: int | str, root: Path) -> str | None:
    """Where in the tree of cgroup v2 a process is."""
    with suppress(OSError):
        for line in (root / f"proc/{pid}/cgroup").read_text("utf-8", "replace").splitlines():
            if line.startswith("0::"):
                return line[3:]
    return None


def _words(path: Path) -> list[str]:
    with suppress(OSError):
        return path.read_text("ascii").split()
    return []


# -- giving shares ---------------------------------------------------------------------------


async def give(tree: Tree | str, vm: str, pid: int, wanted: Tuned, root: Path = Path("/")) -> None:
    """Put a VM's QEMU into a group of its own with its share, or change that.

    Raises UnsupportedError where there is no tree, OperationError where it refuses.
    """
    if isinstance(tree, str):
        if wanted.shares:
            raise UnsupportedError("its share of the CPU can't be set", why=tree)
        return
    if tree.folder is not None:
        group = tree.folder / f"vmtui-{vm}"
        if wanted.shares or group.exists():
            await asyncio.to_thread(_write, group, pid, wanted)
        return
    unit = (_group_of(pid, root) or "").rpartition("/")[2]
    if unit.startswith("vmtui-"):  # a scope that it got before, or the service that started it
        await run(*changed(tree, unit, wanted), timeout_s=ASK_TIMEOUT_S)
    elif wanted.shares:
        command = started(tree, f"vmtui-{vm}.scope", pid, wanted)
        await run(*command, timeout_s=ASK_TIMEOUT_S)


def _write(group: Path, pid: int, wanted: Tuned) -> None:
    quota = "max"
    if wanted.quota_percent is not None:
        quota = str(wanted.quota_percent * wanted.period_us // 100)
    for left in group.parent.glob("vmtui-*"):
        with suppress(OSError):  # those with a process in them stay
            left.rmdir()
    try:
        group.mkdir(exist_ok=True)
        (group / "cpu.weight").write_text(str(wanted.weight or USUAL_WEIGHT))
        (group / "cpu.max").write_text(f"{quota} {wanted.period_us}")
        (group / "cgroup.procs").write_text(str(pid))
    except OSError as error:
        raise OperationError(
            f"{group} can't be set", why=plain(error.strerror or str(error))
        ) from error


def started(tree: Tree, unit: str, pid: int, wanted: Tuned) -> list[str]:
    """The command by which systemd puts a process that runs into a scope."""
    properties = [*("PIDs", "au", "1", str(pid)), *_properties(wanted)]
    count = str(1 + len(_properties(wanted)) // 3)
    return [
        *_call(tree, "StartTransientUnit", "ssa(sv)a(sa(sv))"),
        *(unit, "fail", count, *properties, "0"),
    ]


def changed(tree: Tree, unit: str, wanted: Tuned) -> list[str]:
    """The command by which systemd changes a scope, until it ends."""
    properties = _properties(wanted)
    return [
        *_call(tree, "SetUnitProperties", "sba(sv)"),
        *(unit, "true", str(len(properties) // 3), *properties),
    ]


def _call(tree: Tree, method: str, signature: str) -> list[str]:
    bus = "--user" if tree.user else "--system"
    manager = f"{_SYSTEMD}.Manager"
    return [
        "busctl",
        bus,
        "call",
        _SYSTEMD,
        "/org/freedesktop/systemd1",
        manager,
        method,
        signature,
    ]


def _properties(wanted: Tuned) -> list[str]:
    """Name, type and value of each (org.freedesktop.systemd1(5))."""
    quota_us = 2**64 - 1  # none
    if wanted.quota_percent is not None:
        quota_us = wanted.quota_percent * _US_PER_S // 100
    return [
        *("CPUWeight", "t", str(wanted.weight or USUAL_WEIGHT)),
        *("CPUQuotaPerSecUSec", "t", str(quota_us)),
        *("CPUQuotaPeriodUSec", "t", str(wanted.period_us)),
    ]

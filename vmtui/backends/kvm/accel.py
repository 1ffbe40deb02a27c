"""Whether KVM really works here: proven by booting the micro guest, once a host and kernel."""

from __future__ import annotations

import asyncio
import os
import platform
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec
import platformdirs

from vmtui.backends.kvm.argv import SANDBOX
from vmtui.backends.kvm.program import QEMU, build, installed
from vmtui.command import killed
from vmtui.errors import VmtuiError
from vmtui.files import write_whole
from vmtui.images import micro
from vmtui.locks import wait_lock
from vmtui.model import Accel
from vmtui.readiness import LoginPrompt

PROOF_TIMEOUT_S = 15.0
FORCE_VARIABLE = "VMTUI_ACCEL"


@dataclass(frozen=True, slots=True)
class AccelProof:
    """What `auto` comes to on this host, and why."""

    accel: Accel
    reason: str
    mended_by: str = "vmtui doctor --recheck, once that is mended"
    """If this should be KVM and is not."""


class _Remembered(msgspec.Struct, frozen=True):
    key: str
    works: bool
    reason: str


async def prove(*, recheck: bool = False) -> AccelProof:
    """KVM if the micro guest was seen to boot under it with this kernel, CPU and QEMU, else TCG."""
    forced = os.environ.get(FORCE_VARIABLE, "")
    if forced in (Accel.KVM, Accel.TCG):
        return AccelProof(Accel(forced), f"{FORCE_VARIABLE}={forced}", f"unset {FORCE_VARIABLE}")
    obstacle = _obstacle()
    if obstacle:
        return AccelProof(Accel.TCG, obstacle)
    key = _host_key()
    cache = platformdirs.user_cache_path("vmtui") / "accel.json"
    if not recheck and (remembered := _recall(cache, key)):
        return _proof(remembered)
    cache.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = await wait_lock(cache.with_suffix(".lock"), PROOF_TIMEOUT_S * 2)
    try:
        # Another process may have proven it while this one waited.
        remembered = None if recheck else _recall(cache, key)
        if remembered is None:
            try:
                image = micro.cached() or await micro.ensure(lambda _: None)
            except VmtuiError as error:
                return AccelProof(Accel.TCG, f"KVM could not be tried: {error.what}")
            remembered = await _try_kvm(key, image)
            await asyncio.to_thread(write_whole, cache, msgspec.json.encode(remembered))
        return _proof(remembered)
    finally:
        os.close(lock)


def _proof(remembered: _Remembered) -> AccelProof:
    return AccelProof(Accel.KVM if remembered.works else Accel.TCG, remembered.reason)


def _obstacle() -> str:
    if platform.machine() != "x86_64":
        return f"KVM for x86_64 guests needs an x86_64 host; this is {platform.machine()}"
    if not installed():
        return f"{QEMU} is not installed"
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        return "there is no /dev/kvm: enable virtualisation in the firmware, or nested in the host"
    except PermissionError:
        return "/dev/kvm may not be opened: sudo usermod -aG kvm $USER, then log in again"
    except OSError as error:
        return f"/dev/kvm can't be opened: {error.strerror}"
    return ""


def _host_key() -> str:
    """Changes with whatever could change the answer: the kernel, the CPU, QEMU."""
    return f"{platform.release()}|{_cpu_model()}|{build()}"


def _cpu_model() -> str:
    wanted = ("vendor_id", "cpu family", "model\t", "stepping", "microcode")
    lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").partition("\n\n")[0].splitlines()
    return " ".join(line.partition(":")[2].strip() for line in lines if line.startswith(wanted))


def _recall(cache: Path, key: str) -> _Remembered | None:
    try:
        remembered = msgspec.json.decode(cache.read_bytes(), type=_Remembered)
    except (OSError, msgspec.DecodeError):
        return None
    return remembered if remembered.key == key else None


async def _try_kvm(key: str, image: micro.MicroImage) -> _Remembered:
    with tempfile.TemporaryDirectory(prefix="vmtui-kvm-") as folder:
        errors = Path(folder) / "errors"
        process = await asyncio.create_subprocess_exec(
            *(QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-sandbox", SANDBOX),
            *("-machine", "q35", "-accel", "kvm", "-cpu", "host", "-m", "256"),
            *("-kernel", str(image.kernel), "-initrd", str(image.initrd)),
            *("-append", image.cmdline, "-no-reboot"),
            *("-chardev", "stdio,id=console", "-device", "isa-serial,chardev=console"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors.open("wb"),
        )
        try:
            reached = await _reaches_prompt(process)
            ended_by_itself = process.stdout is not None and process.stdout.at_eof()
        finally:
            await killed(process)
        if reached:
            return _Remembered(key, True, "a guest was seen to boot under KVM")
        said = errors.read_text("utf-8", "replace").strip().splitlines()
    if ended_by_itself:
        words = said[0].removeprefix(f"{QEMU}: ")[:200] if said else "it said nothing"
        return _Remembered(key, False, f"/dev/kvm opens, but QEMU fails with it: {words}")
    return _Remembered(
        key, False, f"/dev/kvm opens, but no guest gets to its prompt in {PROOF_TIMEOUT_S:.0f} s"
    )


async def _reaches_prompt(process: asyncio.subprocess.Process) -> bool:
    assert process.stdout is not None
    prompt = LoginPrompt()
    try:
        async with asyncio.timeout(PROOF_TIMEOUT_S):
            while chunk := await process.stdout.read(4096):
                if prompt.seen_in(chunk):
                    return True
    except TimeoutError:
        pass
    return False

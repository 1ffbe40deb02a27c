"""The files that a domain's UEFI firmware is: told, its variables begun anew and backed up."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import libvirt

from vmtui.backends.kvm import variables
from vmtui.backends.kvm.firmware import Build, builds, descriptor_folders, template
from vmtui.backends.libvirt.around.at_hand import check_at_hand, check_off, is_at_hand
from vmtui.backends.libvirt.bridge import Bridge
from vmtui.backends.libvirt.domain_facts import parse
from vmtui.backends.libvirt.listing import lookup
from vmtui.backends.libvirt.places import Places
from vmtui.errors import MissingError, OperationError, UnsupportedError
from vmtui.files import not_writable, write_new, write_whole
from vmtui.hardware.around import FirmwareFacts
from vmtui.model import VMId
from vmtui.whole import whole_in_thread

START_TIMEOUT_S = 90.0

_SECURE, _KEYS, _SMM = "secure-boot", "enrolled-keys", "requires-smm"


@dataclass(frozen=True, slots=True)
class Found:
    """A domain's firmware as it was found. The files of one that is off may not be chosen yet."""

    name: str
    vm: VMId
    code: Path | None
    template: Path | None
    variables: Path | None
    at_hand: bool  # whether the variables are
    secure_boot: bool
    keys: bool | None  # as the definition says
    build: Build | None  # of QEMU's catalogue, where that is of this machine
    automatic: bool  # libvirt chooses, and knows where variables begin
    passes_through: bool

    @property
    def begins_with(self) -> Path | None:
        """The template of its variables."""
        return self.template or (self.build.template if self.build else None)


def find(connection: libvirt.virConnect, places: Places, vm: VMId, off_to: str = "") -> Found:
    """That of a domain, which has to be off for `off_to`. Raises UnsupportedError, StateError."""
    domain = lookup(connection, vm)
    if off_to:
        check_off(domain, off_to)
    name, root = str(domain.name()), parse(str(domain.XMLDesc(0)))
    if root is None or not _is_uefi(root):
        raise UnsupportedError(f"the BIOS of {name} has no variables")
    features = _features(root)
    loader, nvram = root.find("os/loader"), root.find("os/nvram")
    code = _path(loader)
    path = _variables(places, name, nvram)
    said = nvram.get("template") if nvram is not None else None
    template = Path(said) if said else None
    keys = features.get(_KEYS)
    return Found(
        name,
        vm,
        code,
        template,
        path,
        at_hand=is_at_hand(places, path),
        secure_boot=features.get(_SECURE) == "yes"
        or (loader is not None and loader.get("secure") == "yes"),
        keys=keys == "yes" if keys else None,
        build=_build(root, features, code, template) if places.local else None,
        automatic=root.find("os[@firmware='efi']") is not None,
        passes_through=root.find("devices/hostdev") is not None,
    )


def _is_uefi(root: ET.Element) -> bool:
    return (
        root.find("os[@firmware='efi']") is not None
        or root.find("os/loader[@type='pflash']") is not None
        or root.find("os/nvram") is not None
    )


def _features(root: ET.Element) -> dict[str, str]:
    found = root.iterfind("os/firmware/feature")
    return {one.get("name", ""): one.get("enabled", "") for one in found}


def _path(element: ET.Element | None) -> Path | None:
    text = (element.text or "").strip() if element is not None else ""
    return Path(text) if text else None


def _variables(places: Places, name: str, nvram: ET.Element | None) -> Path | None:
    """As the definition says, else where libvirt puts them; None where neither tells of a file."""
    if nvram is not None:
        source = nvram.find("source")
        file = source.get("file") if source is not None else None
        if source is not None or nvram.get("type", "file") != "file":
            return Path(file) if file else None
        if (said := _path(nvram)) is not None:
            return said
    return places.variables_of(name)


def _build(
    root: ET.Element, features: dict[str, str], code: Path | None, template: Path | None
) -> Build | None:
    """The one of QEMU's catalogue that it is, or that libvirt would choose by the same rules."""
    machine, smm = root.find("os/type"), root.find("features/smm")
    if machine is None or "q35" not in machine.get("machine", ""):
        return None
    without_smm = smm is not None and smm.get("state") == "off"
    for one in builds(descriptor_folders()):
        if code not in (None, one.code) or template not in (None, one.template):
            continue
        wrong = [name for name, on in features.items() if (on == "yes") != (name in one.features)]
        if not wrong and not (without_smm and _SMM in one.features) and one.code.exists():
            return one
    return None


async def facts(bridge: Bridge, places: Places, vm: VMId) -> FirmwareFacts:
    """Which files it is."""
    found = await bridge.call("look at the firmware", find, places, vm)
    content = await asyncio.to_thread(_content, found)
    build = found.build
    keys = build.enrolled if build is not None else found.keys
    return FirmwareFacts(
        code=found.code or (build.code if build else None),
        variables=found.variables if content is not None or not found.at_hand else None,
        template=found.begins_with,
        secure_boot=found.secure_boot,
        enrolled_keys=keys if content is None else variables.enrolled(content),
        descriptor=build.descriptor.name if build else "",
        size_bytes=None if content is None else len(content),
    )


def _content(found: Found) -> bytes | None:
    if found.variables is None or not found.at_hand:
        return None
    with suppress(OSError):
        return found.variables.read_bytes()
    return None


# -- begin anew, back up ---------------------------------------------------------------------


async def reset(bridge: Bridge, places: Places, vm: VMId, own: Path | None) -> None:
    """Begin anew, from the firmware's own template or from a file of one's own."""
    verb = "reset the UEFI variables of"
    found = await bridge.call("look at the firmware", find, places, vm, verb)
    if own is not None:
        path = check_at_hand(places, found.variables, f"can't {verb} {found.name}")
        await whole_in_thread(_replace, found, path, own)
    elif found.at_hand and found.variables is not None:
        await whole_in_thread(_forget, found, found.variables)
    else:
        _refuse_passthrough(found, verb)
        await bridge.call(f"{verb} {found.name}", _start_anew, vm, timeout_s=START_TIMEOUT_S)


def _replace(found: Found, path: Path, own: Path) -> None:
    reference = _content(found)
    if reference is None and found.build is not None:
        reference = template(found.build)
    if reference is None:
        raise UnsupportedError(
            f"{own} can't be the variables of {found.name}",
            why="its firmware is not known yet, so it can't be told whether they fit",
            hint=f"Start it once: vmtui start {found.name}",
        )
    write_whole(path, variables.checked(found.name, own, reference), keep_owner=True)


def _forget(found: Found, path: Path) -> None:
    """libvirt makes them anew at the next start, as it made them at the first."""
    if not found.automatic and found.begins_with is None:
        raise MissingError(
            f"can't reset the UEFI variables of {found.name}",
            why=f"no descriptor of QEMU's firmware catalogue tells what goes with {found.code}",
            hint="Name a file of variables to begin with.",
        )
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise not_writable(path.parent, error) from error


def _refuse_passthrough(found: Found, verb: str) -> None:
    if found.passes_through:
        raise UnsupportedError(
            f"can't {verb} {found.name}",
            why="libvirt does that when it starts, and would take its devices from the host",
            hint=f"Start it so: virsh start {found.name} --reset-nvram",
        )


def _start_anew(connection: libvirt.virConnect, vm: VMId) -> None:
    """Have libvirt begin with new ones: it is started for that, and no guest ever runs."""
    domain = lookup(connection, vm)
    domain.createWithFlags(
        libvirt.VIR_DOMAIN_START_PAUSED
        | libvirt.VIR_DOMAIN_START_AUTODESTROY
        | libvirt.VIR_DOMAIN_START_RESET_NVRAM
    )
    domain.destroy()


async def back_up(bridge: Bridge, places: Places, vm: VMId, to: Path) -> None:
    """A copy that only this user can read."""
    verb = "back up the UEFI variables of"
    found = await bridge.call("look at the firmware", find, places, vm, verb)
    path = check_at_hand(places, found.variables, f"can't {verb} {found.name}")
    try:
        content = await asyncio.to_thread(path.read_bytes)
    except OSError as error:
        raise OperationError(
            f"{path} can't be read",
            why=error.strerror or "",
            hint="A VM has its variables from its first start on.",
        ) from error
    await whole_in_thread(write_new, to, content)

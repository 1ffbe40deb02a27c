"""Devices that a domain has or has not, such as a TPM or a watchdog; and when it panics."""

from __future__ import annotations

from vmtui.backends.libvirt import metadata
from vmtui.backends.libvirt.configuring.elements import (
    Element,
    got,
    have,
    made,
    put,
    said,
    say,
    take_out,
    under,
)
from vmtui.backends.libvirt.configuring.knobs import Knob, whole, words
from vmtui.hardware.values import Value
from vmtui.units import whole_number

AGENT = "org.qemu.guest_agent.0"

_TPM = "devices/tpm"
_WATCHDOG = "devices/watchdog[@model='i6300esb']"


def _devices(root: Element) -> Element:
    return have(root, "devices")


def has_tpm(root: Element) -> bool:
    """Whether it has one of any kind."""
    return root.find(_TPM) is not None


def has_watchdog(root: Element) -> bool:
    """Whether it has one of the kind that vmtui sets."""
    return root.find(_WATCHDOG) is not None


def _read_restart(root: Element) -> Value:
    return "on-crash" if said(root, "on_crash").endswith("restart") else "no"


def _write_restart(root: Element, value: Value) -> None:
    """What libvirt does when the guest panics; a dump that is made before stays."""
    dump = "coredump-" if said(root, "on_crash").startswith("coredump") else ""
    say(root, "on_crash", dump + ("restart" if value == "on-crash" else "destroy"))


# -- TPM -----------------------------------------------------------------------------------------

_MODELS = {"crb": "tpm-crb", "tis": "tpm-tis"}


def _read_tpm(root: Element) -> Value:
    model = got(root, _TPM, "model")
    if root.find(_TPM) is None:
        return "off"
    return next((word for word, name in _MODELS.items() if name == model), "tis")


def _write_tpm(root: Element, value: Value) -> None:
    tpm = root.find(_TPM)
    if value == "off":
        take_out(tpm)
        return
    if tpm is None:
        tpm = made("tpm", {"model": _MODELS[words(value)]})
        under(tpm, "backend", {"type": "emulator", "version": "2.0"})
        put(_devices(root), tpm)
    tpm.set("model", _MODELS[words(value)])


def _not_emulated(root: Element) -> str:
    foreign = root.find(_TPM) is not None and got(root, f"{_TPM}/backend", "type") != "emulator"
    return "it is the host's, not a software TPM: edit the definition" if foreign else ""


def _no_tpm(root: Element) -> str:
    return "it has no TPM" if root.find(_TPM) is None else _not_emulated(root)


def _write_version(root: Element, value: Value) -> None:
    have(root, f"{_TPM}/backend").set("version", words(value))


def tpm_secret(root: Element) -> str:
    """The UUID of the secret that vmtui encrypts a domain's TPM with."""
    return metadata.tpm_secret(said(root, "uuid"))


def _write_encrypted(root: Element, value: Value) -> None:
    backend = have(root, f"{_TPM}/backend")
    if value:
        put(backend, made("encryption", {"secret": tpm_secret(root)}))
    else:
        take_out(backend.find("encryption"))


# -- display -------------------------------------------------------------------------------------


def _has_display(root: Element) -> bool:
    return root.find("devices/graphics") is not None or any(
        model.get("type") != "none" for model in root.iterfind("devices/video/model")
    )


def _write_display(root: Element, value: Value) -> None:
    for tag in ("graphics", "video"):
        for one in root.findall(f"devices/{tag}"):
            take_out(one)
    if not value:
        return
    graphics = made("graphics", {"type": "vnc"})
    under(graphics, "listen", {"type": "socket"})
    put(_devices(root), graphics)
    video = made("video")
    under(video, "model", {"type": "vga"})
    put(_devices(root), video)


# -- what is there or not ------------------------------------------------------------------------


def _write_rng(root: Element, value: Value) -> None:
    if not value:
        for one in root.findall("devices/rng"):
            take_out(one)
    elif root.find("devices/rng") is None:
        rng = made("rng", {"model": "virtio"})
        under(rng, "backend", {"model": "random"}).text = "/dev/urandom"
        put(_devices(root), rng)


def _several_rngs(root: Element) -> str:
    return "it has several: edit the definition" if len(root.findall("devices/rng")) > 1 else ""


def _write_watchdog(root: Element, value: Value) -> None:
    found = root.find(_WATCHDOG)
    if value == "off":
        take_out(found)
    elif found is None:
        action = got(root, "devices/watchdog", "action") or "reset"
        put(_devices(root), made("watchdog", {"model": "i6300esb", "action": action}))


def _write_action(root: Element, value: Value) -> None:
    # QEMU has one for all of them.
    for one in root.iterfind("devices/watchdog"):
        one.set("action", words(value))


def _other_watchdog(root: Element) -> str:
    # That of q35's chipset is always there; libvirt writes it down since 9.1.
    models = [one.get("model", "") for one in root.iterfind("devices/watchdog")]
    other = next((model for model in models if model not in ("i6300esb", "itco")), "")
    return f"it has one of the kind {other}: edit the definition" if other else ""


def _no_watchdog(root: Element) -> str:
    return "it has no watchdog of that kind" if root.find(_WATCHDOG) is None else ""


def _read_sound(root: Element) -> Value:
    models = [one.get("model", "") for one in root.iterfind("devices/sound")]
    return models[0] if models else "off"


def _write_sound(root: Element, value: Value) -> None:
    found = root.find("devices/sound")
    if value == "off":
        take_out(found)
    elif found is None:
        put(_devices(root), made("sound", {"model": words(value)}))
    else:
        found.set("model", words(value))
        for tag in ("codec", "address"):
            take_out(found.find(tag))


def _several_sounds(root: Element) -> str:
    several = len(root.findall("devices/sound")) > 1
    return "it has several: edit the definition" if several else ""


def _agent(root: Element) -> Element | None:
    return next(
        (
            channel
            for channel in root.iterfind("devices/channel")
            if got(channel, "target", "name") == AGENT
        ),
        None,
    )


def _write_agent(root: Element, value: Value) -> None:
    if not value:
        take_out(_agent(root))
        return
    channel = made("channel", {"type": "unix"})
    under(channel, "target", {"type": "virtio", "name": AGENT})
    put(_devices(root), channel)


def _read_vsock(root: Element) -> Value:
    if got(root, "devices/vsock/cid", "auto") == "yes":
        return None  # libvirt's choice, each time that it starts
    return whole_number(got(root, "devices/vsock/cid", "address"))


def _write_vsock(root: Element, value: Value) -> None:
    if value is None:
        take_out(root.find("devices/vsock"))
        return
    vsock = root.find("devices/vsock")
    if vsock is None:
        vsock = put(_devices(root), made("vsock", {"model": "virtio"}))
    cid = have(vsock, "cid")
    cid.set("auto", "no")
    cid.set("address", str(whole(value)))


DEVICE_KNOBS = {
    "restart": Knob(_read_restart, _write_restart),
    "tpm": Knob(_read_tpm, _write_tpm, _not_emulated),
    "tpm.version": Knob(
        lambda root: got(root, f"{_TPM}/backend", "version") or "2.0", _write_version, _no_tpm
    ),
    "tpm.encrypted": Knob(
        lambda root: root.find(f"{_TPM}/backend/encryption") is not None, _write_encrypted, _no_tpm
    ),
    "display": Knob(_has_display, _write_display),
    "rng": Knob(lambda root: root.find("devices/rng") is not None, _write_rng, _several_rngs),
    "watchdog": Knob(
        lambda root: "i6300esb" if root.find(_WATCHDOG) is not None else "off",
        _write_watchdog,
        _other_watchdog,
    ),
    "watchdog.action": Knob(
        lambda root: got(root, _WATCHDOG, "action") or "reset", _write_action, _no_watchdog
    ),
    "sound": Knob(_read_sound, _write_sound, _several_sounds),
    "agent": Knob(lambda root: _agent(root) is not None, _write_agent),
    "vsock": Knob(_read_vsock, _write_vsock),
}

"""Asking which device a VM is to get: its kind first, then the little that has to be said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from vmtui.backends.abilities import HostDevices
from vmtui.device_texts import device
from vmtui.errors import InputError, UnsupportedError, VmtuiError
from vmtui.hardware.devices import Device, HostBus, HostDevice
from vmtui.screens.ask import ChooseScreen
from vmtui.screens.base import FleetScreen
from vmtui.screens.doing import tell_error
from vmtui.screens.modal import Modal
from vmtui.units import plain
from vmtui.views import VMView


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of device; `text` is what `vmtui attach` would be told, up to what is asked for."""

    name: str
    note: str
    text: str
    asked: str = ""  # what has to be said; empty: nothing
    first: str = ""


KINDS = (
    Kind("disk", "new and empty", "disk:", "Its size, such as 20G; more: 20G,bus=scsi", "20G"),
    Kind("disk file", "one that exists", "disk:", "The path of its file; more: /path,ro", "/"),
    Kind("CD", "a tray, with or without a medium", "cdrom:", "The path of an ISO, or nothing"),
    Kind("network card", "", "nic:", "user, isolated, network:NAME or bridge:NAME", "user"),
    Kind("shared folder", "of this machine", "share:", "/path:tag, or /path:tag,ro", "/"),
    Kind("USB device", "of the host", "usb:"),
    Kind("PCI device", "of the host", "pci:"),
    Kind("serial console", "", "console:serial"),
    Kind("virtio console", "", "console:virtio"),
)


async def ask_device(screen: FleetScreen, row: VMView, kind: Kind | None = None) -> Device | None:
    """The device that is wanted, of a kind that is asked for first; for a worker of the app."""
    name = plain(row.vm.name)
    if kind is None:
        question = ChooseScreen(f"Attach to {name}", [(each.name, each.note) for each in KINDS])
        chosen = await screen.app.push_screen_wait(question)
        if chosen is None:
            return None
        kind = KINDS[chosen]
    if kind.text in ("usb:", "pci:"):
        return await _of_host(screen, row, HostBus(kind.text[:-1]))
    if not kind.asked:
        return device(kind.text)
    return await screen.app.push_screen_wait(AskDevice(f"{kind.name} for {name}", kind))


async def _of_host(screen: FleetScreen, row: VMView, bus: HostBus) -> HostDevice | None:
    backend = screen.context.fleet.backend(row.ref)
    try:
        if not isinstance(backend, HostDevices):
            raise UnsupportedError("devices of the host can't be passed through here")
        found = [each for each in await backend.host_devices() if each.bus is bus]
        if not found:
            raise UnsupportedError(f"the host has no {bus.value.upper()} devices to pass through")
    except VmtuiError as error:
        tell_error(screen, error)
        return None
    rows = [(each.label or each.address, _state(each)) for each in found]
    question = ChooseScreen(f"Pass through to {plain(row.vm.name)}", rows)
    chosen = await screen.app.push_screen_wait(question)
    if chosen is None:
        return None
    wanted = found[chosen]
    if wanted.unavailable:
        what = f"{wanted.label or wanted.address} can't be passed through"
        tell_error(screen, UnsupportedError(what, why=wanted.unavailable))
        return None
    return wanted


def _state(found: HostDevice) -> str:
    """Why it can't be had; else what uses it, and what goes with it."""
    if found.unavailable:
        return f"✗ {found.unavailable}"
    group = "" if found.group is None else f"IOMMU group {found.group}"
    used = f"used by {found.used_by}" if found.used_by else "free"
    return " · ".join(filter(None, (used, group, found.address)))


class AskDevice(Modal[Device | None]):
    """Gives the device that was typed; None when it was given up."""

    DEFAULT_CSS = """
    AskDevice { align: center middle; }
    AskDevice > Vertical { width: 76; max-width: 94%; height: auto;
        border: round $primary; background: $background; padding: 0 2; }
    AskDevice #title { text-style: bold; color: $primary; margin-bottom: 1; }
    AskDevice Input { height: 1; border: none; padding: 0; background: $panel; }
    AskDevice #said { height: 2; color: $text-muted; }
    AskDevice #said.-problem { color: $error; }
    AskDevice #keys { color: $text-muted; margin-top: 1; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "give_up", "cancel", show=False)]

    def __init__(self, title: str, kind: Kind) -> None:
        super().__init__()
        self._heading = f"{title[:1].upper()}{title[1:]}"
        self._kind = kind

    def compose(self) -> ComposeResult:
        """Title, input, what is said of it, keys."""
        with Vertical():
            yield Static(Content(self._heading), id="title")
            yield Input(self._kind.first, select_on_focus=False, compact=True)
            yield Static(Content(self._kind.asked), id="said")
            yield Static(Content("Enter shows what it would do · Esc cancels"), id="keys")

    def _typed(self) -> Device:
        return device(self._kind.text + self.query_one(Input).value.strip())

    @on(Input.Changed)
    def _judge(self) -> None:
        said = self.query_one("#said", Static)
        try:
            self._typed()
        except InputError as error:
            said.update(Content(error.why or error.what))
            said.add_class("-problem")
        else:
            said.update(Content(self._kind.asked))
            said.remove_class("-problem")

    @on(Input.Submitted)
    def _submitted(self) -> None:
        try:
            self.dismiss(self._typed())
        except InputError:
            self._judge()

    def action_give_up(self) -> None:
        """None."""
        self.dismiss(None)

"""`f`: the files that a VM starts with, Secure Boot, and what is booted from."""

from __future__ import annotations

from pathlib import Path

from vmtui import configuring
from vmtui.backends.abilities import FirmwareVariables
from vmtui.errors import UnsupportedError
from vmtui.hardware.around import FirmwareFacts
from vmtui.hardware.settings import setting
from vmtui.hardware.tree import Hardware, is_pending
from vmtui.screens.confirm import ConfirmScreen, Question
from vmtui.screens.panel import Command, Seen
from vmtui.screens.vm_panel import VMPanel
from vmtui.units import plain, size
from vmtui.widgets.listing import Row

KEYS = ("firmware", "firmware.keys", "boot.order", "boot.menu", "boot.once")


class FirmwarePanel(VMPanel):
    """Files and settings; variables reset and backed up."""

    heading = "Firmware"

    async def look(self) -> Seen:
        """What it is now."""
        hardware = await configuring.hardware(self.shared.fleet, self.ref)
        rows: list[Row] = []
        for key in KEYS:
            entry = hardware.entry(key)
            if entry is None:
                continue
            known = setting(key)
            value = known.form.shown(entry.now if hardware.active else entry.next)
            ink = "strong" if key == "firmware" else "text"
            if hardware.active and is_pending(entry):
                value, ink = f"{value} → ◆ {known.form.shown(entry.next)} at next boot", "warn"
            rows.append(((known.label, "quiet"), (value, ink)))
        backend = self.shared.fleet.backend(self.ref)
        why = "Shut it down first." if hardware.active else ""
        if not isinstance(backend, FirmwareVariables):
            why = "This connection can't."
        else:
            try:
                rows += _files(await backend.firmware(self.ref.id))
            except UnsupportedError:
                why = "It has no variables: it starts with BIOS."
        return Seen(rows, self._commands_for(hardware, why))

    def _commands_for(self, hardware: Hardware, why: str) -> list[Command]:
        """What can be done; `why` its variables can't be touched, if so."""
        found = [self.command("f", "firmware", self.choose, "firmware", hardware)]
        if hardware.entry("firmware.keys") is not None:
            found.append(self.command("e", "enrolled keys", self.turn, "firmware.keys", hardware))
        return [
            *found,
            self.command("o", "boot order", self.write, "boot.order", hardware),
            self.command("m", "boot menu", self.turn, "boot.menu", hardware),
            self.command("1", "boot once", self.choose, "boot.once", hardware),
            self.command("r", "reset variables", self._reset, refusal=why),
            self.command("w", "own keys", self._own_keys, refusal=why),
            self.command("b", "back up variables", self._back_up, refusal=why, changes=False),
        ]

    def _backend(self) -> FirmwareVariables:
        backend = self.shared.fleet.backend(self.ref)
        if not isinstance(backend, FirmwareVariables):
            raise UnsupportedError("this connection can't change variables")
        return backend

    async def _reset(self, template: Path | None = None) -> None:
        name = plain(self.vm_name)
        begin = f"They begin with {template}." if template else "They begin as the firmware's own."
        lines = ("Boot entries and keys that the guest put there are gone.", begin)
        question = Question(f"Reset the variables of {name}?", (("", lines),), yes="reset")
        if await self.app.push_screen_wait(ConfirmScreen(question)):
            await self.run_task(
                f"reset variables of {name}",
                f"The variables of {self.vm_name} begin anew",
                lambda: self._backend().reset_variables(self.ref.id, template),
            )

    async def _own_keys(self) -> None:
        template = await self.ask_path("A file of variables with your keys", "~/")
        if template is not None:
            await self._reset(template)

    async def _back_up(self) -> None:
        name = plain(self.vm_name)
        to = await self.ask_path(f"Back up the variables of {name} to", f"~/{name}-efivars.fd")
        if to is not None:
            await self.run_task(
                f"back up variables of {name}",
                f"The variables of {self.vm_name} are in {to}",
                lambda: self._backend().back_up_variables(self.ref.id, to),
            )


def _files(facts: FirmwareFacts) -> list[Row]:
    enforced = {
        (True, True): ("on, with enrolled keys", "good"),
        (True, False): ("on without keys: it enforces nothing", "warn"),
        (True, None): ("on", "good"),
    }
    secure = enforced.get((facts.secure_boot, facts.enrolled_keys), ("off", "quiet"))
    extent = f" ({size(facts.size_bytes)})" if facts.size_bytes else ""
    files = (
        ("code", facts.code, ""),
        ("variables", facts.variables, extent),
        ("begun from", facts.template, ""),
        ("descriptor", facts.descriptor, ""),
    )
    rows: list[Row] = [(("Secure Boot", "quiet"), secure)]
    rows += [
        ((label, "quiet"), (plain(str(file)) + more, "text")) for label, file, more in files if file
    ]
    return rows

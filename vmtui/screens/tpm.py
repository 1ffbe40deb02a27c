"""`t`: a VM's TPM, where its keys are, and what can be done with them."""

from __future__ import annotations

from pathlib import Path

from rich.cells import cell_len

from vmtui import configuring
from vmtui.backends.abilities import Tpms
from vmtui.errors import UnsupportedError
from vmtui.hardware.around import TpmFacts, TpmHealth
from vmtui.hardware.changes import Assign
from vmtui.hardware.tree import Hardware
from vmtui.screens.panel import Command, Seen
from vmtui.screens.typed import TypeNameScreen
from vmtui.screens.vm_panel import VMPanel
from vmtui.units import plain, size
from vmtui.widgets.lines import fit
from vmtui.widgets.listing import Row

LOG_LINES = 6
LOG_CELLS = 76
NONE = (
    "It has none. With one its guest can seal the keys of its disks, and runs what asks "
    "for a TPM 2.0. Its state is kept in a folder of the VM."
)
SEALED = "Disk keys sealed in it are lost."


class TpmPanel(VMPanel):
    """Facts, and add, remove, back up, restore, clear."""

    heading = "TPM"

    async def look(self) -> Seen:
        """What it is now."""
        hardware = await configuring.hardware(self.shared.fleet, self.ref)
        entry = hardware.entry("tpm")
        if entry is None:
            raise UnsupportedError(f"{self.vm_name} can't have a TPM here")
        if entry.next in (None, "off") and (not hardware.active or entry.now in (None, "off")):
            return Seen([((NONE, "text"),)], self._adding())
        facts = await self._backend().tpm(self.ref.id)
        return Seen(self._rows(hardware, facts), self._having(hardware))

    def _backend(self) -> Tpms:
        backend = self.shared.fleet.backend(self.ref)
        if not isinstance(backend, Tpms):
            raise UnsupportedError("this connection tells nothing of TPMs")
        return backend

    def _rows(self, hardware: Hardware, facts: TpmFacts) -> list[Row]:
        entry = hardware.entry("tpm")
        rows: list[Row] = []
        if hardware.active and entry is not None and entry.now != entry.next:
            rows.append((("at next boot", "quiet"), (f"◆ {plain(str(entry.next))}", "warn")))
        health = plain(facts.health), "good" if facts.health == TpmHealth.RUNNING else "quiet"
        if facts.health not in set(TpmHealth):
            health = f"✗ {plain(facts.health)}", "bad"
        encrypted = {True: "yes, by a key of its own", False: "no", None: "not known"}
        rows += [
            (("model", "quiet"), (plain(facts.model).upper(), "strong")),
            (("version", "quiet"), (plain(facts.version), "text")),
            (("PCR banks", "quiet"), (", ".join(map(plain, facts.banks)) or "not known", "text")),
            (("state", "quiet"), (plain(str(facts.state or "not known")), "text")),
            (("size", "quiet"), (size(facts.size_bytes), "text")),
            (("encrypted", "quiet"), (encrypted[facts.encrypted], "text")),
            (("health", "quiet"), health),
        ]
        log = plain(facts.log, keep_lines=True).splitlines()[-LOG_LINES:]
        for place, line in enumerate(log):
            text = fit(line, min(cell_len(line), LOG_CELLS))
            rows.append((("" if place else "its log", "quiet"), (text, "quiet")))
        return rows

    def _adding(self) -> list[Command]:
        return [
            self.command("a", "add (CRB)", self.change, Assign("tpm", "crb")),
            self.command("i", "add (TIS, for 1.2 too)", self.change, Assign("tpm", "tis")),
        ]

    def _having(self, hardware: Hardware) -> list[Command]:
        on = "Shut it down first: its TPM is in use." if hardware.active else ""
        return [
            self.command("b", "back up", self._back_up, refusal=on, changes=False),
            self.command("r", "restore", self._restore, refusal=on),
            self.command("c", "clear", self._clear, refusal=on),
            self.command("m", "model", self.choose, "tpm", hardware),
            self.command("x", "remove", self.change, Assign("tpm", "off")),
        ]

    async def _back_up(self) -> None:
        to = await self.ask_path(
            f"Back up the TPM state of {plain(self.vm_name)} to", f"~/{self.vm_name}-tpm.backup"
        )
        if to is None:
            return
        await self.run_task(
            f"back up the TPM of {plain(self.vm_name)}",
            f"The TPM state of {self.vm_name} is in {to}",
            lambda: self._backend().back_up_tpm(self.ref.id, to),
        )

    async def _restore(self) -> None:
        source = await self.ask_path(
            f"Restore the TPM state of {plain(self.vm_name)} from", f"~/{self.vm_name}-tpm.backup"
        )
        if source is not None and await self._sure("Replace", "The state that it has now goes."):
            await self._restored(source)

    async def _restored(self, source: Path) -> None:
        await self.run_task(
            f"restore the TPM of {plain(self.vm_name)}",
            f"The TPM state of {self.vm_name} is that of {source}",
            lambda: self._backend().restore_tpm(self.ref.id, source),
        )

    async def _clear(self) -> None:
        if await self._sure("Clear", "It begins anew, empty."):
            await self.run_task(
                f"clear the TPM of {plain(self.vm_name)}",
                f"The TPM of {self.vm_name} is empty",
                lambda: self._backend().clear_tpm(self.ref.id),
            )

    async def _sure(self, verb: str, what: str) -> bool:
        title = f"{verb} the TPM state of {plain(self.vm_name)}?"
        lines = (what, SEALED, "Back it up first with b if they may be needed again.")
        return await self.app.push_screen_wait(TypeNameScreen(title, lines, self.vm_name))

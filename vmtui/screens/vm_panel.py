"""A panel about one side of a VM, and the questions that its commands ask."""

from __future__ import annotations

from pathlib import Path

from vmtui.files import at_home
from vmtui.hardware.changes import Assign, Change
from vmtui.hardware.settings import setting
from vmtui.hardware.tree import Hardware
from vmtui.screens.ask import AskScreen, ChooseScreen
from vmtui.screens.base import FleetScreen
from vmtui.screens.hardware import change
from vmtui.screens.panel import Panel
from vmtui.units import plain
from vmtui.views import VMView


class VMPanel(Panel):
    """For one VM."""

    heading = ""

    def __init__(self, over: FleetScreen, row: VMView) -> None:
        super().__init__(over, f"{self.heading} of {plain(row.vm.name)}", row.ref.uri)
        self.ref = self.about = row.ref
        self.vm_name = row.vm.name

    async def change(self, *changes: Change) -> None:
        """Plan, ask, do."""
        await change(self.over, self.ref, changes)

    async def choose(self, key: str, hardware: Hardware) -> None:
        """One of the choices of a setting."""
        known, entry = setting(key), hardware.entry(key)
        choices = list((entry.choices if entry else ()) or known.form.choices)
        if known.form.optional:
            choices.append("")
        question = ChooseScreen(
            f"{plain(self.vm_name)}: {known.label}",
            [(choice or "–", "" if choice else "the default") for choice in choices],
        )
        chosen = await self.app.push_screen_wait(question)
        if chosen is not None:
            await self.change(Assign(key, choices[chosen] or None))

    async def write(self, key: str, hardware: Hardware) -> None:
        """A setting that is typed."""
        known, entry = setting(key), hardware.entry(key)
        before = known.form.text(entry.next) if entry else ""
        emptied = " Empty: the default." if known.form.optional else ""
        typed = await self.app.push_screen_wait(
            AskScreen(f"{plain(self.vm_name)}: {known.label}. {known.help}{emptied}", before)
        )
        if typed is not None:
            await self.change(Assign(key, known.parse(typed)))

    async def turn(self, key: str, hardware: Hardware) -> None:
        """A switch."""
        entry = hardware.entry(key)
        await self.change(Assign(key, not (entry and entry.next)))

    async def ask_path(self, title: str, value: str) -> Path | None:
        """The path of a file."""
        typed = await self.app.push_screen_wait(AskScreen(title, value))
        return _path(typed) if typed else None


def _path(text: str) -> Path:
    return at_home(text).absolute()

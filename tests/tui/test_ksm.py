"""Page sharing of the host: told, switched, and refused where it can't be."""

from __future__ import annotations

from dataclasses import replace

from tests.tui.support import press, running, said, until, whole
from vmtui.backends.demo import DemoBackend
from vmtui.errors import UnsupportedError
from vmtui.ksm import KsmState, Switch


class Unprivileged(DemoBackend):
    """Its user is not root."""

    async def page_sharing(self) -> KsmState:
        return replace(await super().page_sharing(), switchable=False)


class Elsewhere(DemoBackend):
    """Its host is another machine."""

    async def page_sharing(self) -> KsmState:
        raise UnsupportedError("demo: can't tell of its host's KSM", why="it is another machine")


async def test_it_is_switched_with_its_cost_and_the_warning() -> None:
    backend = DemoBackend()
    async with running(backend) as (app, pilot):
        await press(pilot, "M")
        await until(pilot, lambda: "full scans" in whole(app))
        assert "Page sharing (KSM) of sirius" in whole(app)
        assert "A guest can tell by the time of a write" in whole(app)
        await press(pilot, "o")
        await until(pilot, lambda: "what is shared stays so" in said(app))
        await until(pilot, lambda: "o turn on" in whole(app))
        assert (await backend.page_sharing()).saved_bytes
        await press(pilot, "u")
        await until(pilot, lambda: "It takes" in whole(app))
        await press(pilot, "y")
        await until(pilot, lambda: "its own pages again" in said(app))
        await until(pilot, lambda: "saved       0 B" in whole(app))
        await press(pilot, "u")
        assert "nothing to unmerge" in said(app)
        await press(pilot, "o")
        await until(pilot, lambda: "Turn KSM on?" in whole(app))
        assert not (await backend.page_sharing()).running
        await press(pilot, "y")
        await until(pilot, lambda: "KSM is on" in said(app))
        assert (await backend.page_sharing()).running


async def test_who_is_not_root_gets_the_command() -> None:
    backend = Unprivileged()
    async with running(backend, size=(80, 24)) as (app, pilot):
        await press(pilot, "o", "M")
        await until(pilot, lambda: "as root" in whole(app))
        assert "echo 0 > /sys/kernel/mm/ksm/run  turns it off" in whole(app)
        assert "echo 2 > /sys/kernel/mm/ksm/run  unmerges" in whole(app)
        await press(pilot, "o")
        assert "Only root may. As root: echo 0 > /sys/kernel/mm/ksm/run" in said(app)
        assert (await backend.page_sharing()).running


async def test_a_read_only_connection_and_another_machine_switch_nothing() -> None:
    backend = DemoBackend(read_only=True)
    async with running(backend, read_only=True) as (app, pilot):
        await press(pilot, "M")
        await until(pilot, lambda: "full scans" in whole(app))
        await press(pilot, "o")
        assert "read-only" in said(app)
        assert (await backend.page_sharing()).running
    async with running(Elsewhere()) as (app, pilot):
        await press(pilot, "M")
        await until(pilot, lambda: "another machine" in whole(app))
        assert "turn" not in whole(app)


async def test_the_palette_knows_it_by_its_names() -> None:
    async with running(DemoBackend()) as (app, _):
        titles = [command.title for command in app.get_system_commands(app.screen)]
        assert {"KSM  (M)", "Page sharing of the host"} <= set(titles)


async def test_figures_of_the_demo_s_host_stand_still_while_it_is_off() -> None:
    now_s = [100.0]
    backend = DemoBackend(clock=lambda: now_s[0])
    for to, after_s, searched in ((Switch.OFF, 10, 0.0), (Switch.ON, 20, 0.6), (Switch.OFF, 5, 0)):
        before = (await backend.host_counters()).ksm
        await backend.share_pages(to)
        now_s[0] += after_s
        after = (await backend.host_counters()).ksm
        assert before and after and before.cpu_s is not None and after.cpu_s is not None
        assert round(after.cpu_s - before.cpu_s, 6) == searched

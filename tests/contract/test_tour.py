"""The tour of every screen on every backend, with real guests where there are any."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.contract.cases import BackendCase, made
from tests.tui.support import point, press, running, until
from tests.tui.test_tour import HELD_UP_S, TOUR, WAITED_S, Worst, measured
from vmtui.backends.base import Backend
from vmtui.model import Power


async def test_the_tour_never_holds_up_the_loop(
    case: BackendCase,
    backend: Backend,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Debug mode itself costs more than what is measured here.
    asyncio.get_running_loop().set_debug(False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    vm = await made(backend, case.spec(name))
    await backend.power(vm, Power.START)
    async with running(case.connect(False)) as (app, pilot):
        if case.shares_vms:
            await point(pilot, app, name)
        worst, now = Worst(), [""]
        with measured(worst, now):
            for keys in TOUR:
                now[0] = " ".join(keys)
                await press(pilot, *keys)
                await until(pilot, lambda: app.screen is app.dashboard)
    assert worst.cpu_s < HELD_UP_S, worst.what
    assert worst.wall_s < WAITED_S, worst.what

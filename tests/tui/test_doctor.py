"""What the doctor finds missing is one line, and a screen."""

from __future__ import annotations

from tests.tui.support import fleet_of, press, shown, until, whole
from vmtui.app import VmtuiApp
from vmtui.backends.demo import DemoBackend
from vmtui.config import Config
from vmtui.doctor import Check as Found
from vmtui.errors import MissingError
from vmtui.screens.base import Check


class Elsewhere(DemoBackend):
    """A demo under a name for which the machine matters."""

    def __init__(self) -> None:
        super().__init__()
        self.uri = "kvm:"


async def test_one_thing_missing_is_one_line_with_the_key_to_the_details() -> None:
    async def checks() -> tuple[Check, ...]:
        return (
            Found("QEMU", True, "7.2"),
            Found("swtpm", False, "not installed", "no VM can have a TPM", "apt install swtpm"),
            Found("virt-v2v", False, "not there", "no drivers", "apt install v2v", optional=True),
        )

    fleet = fleet_of(Elsewhere())
    app = VmtuiApp(fleet, Config(), examine=checks)
    async with app.run_test(size=(120, 40)) as pilot:
        words = app.dashboard.status._words
        await until(pilot, lambda: "swtpm: not installed – H for details" in shown(words))
        await press(pilot, "H")
        await until(pilot, lambda: "apt install swtpm" in whole(app))
        assert "no VM can have a TPM" in whole(app)
        assert "✗ swtpm" in whole(app)
        assert "○ virt-v2v" in whole(app)
        await press(pilot, "escape")
    await fleet.close()


async def test_a_doctor_that_fails_is_a_line_too() -> None:
    async def checks() -> tuple[Check, ...]:
        raise MissingError("nothing could be looked at")

    fleet = fleet_of(Elsewhere())
    app = VmtuiApp(fleet, Config(), notices=["libvirt-python is not installed"], examine=checks)
    async with app.run_test(size=(120, 40)) as pilot:
        words = app.dashboard.status._words
        await until(pilot, lambda: "nothing could be looked at" in shown(words))
        assert "libvirt-python is not installed" in shown(words)
    await fleet.close()

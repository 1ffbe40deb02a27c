"""How many keys lead from the dashboard to what is wanted: counted on ways that are walked."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest

from benchmarks.result import Result
from tests.tui import test_creating, test_hardware

ALLOWED_TO_A_VM = 8
ALLOWED_ANSWERS = 3
ALLOWED_TO_A_SETTING = 3


def run() -> list[Result]:
    """On the demo fleet, by the tests of these ways: where one leads elsewhere they raise."""
    with (
        tempfile.TemporaryDirectory(prefix="vmtui-bench-") as home,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
            patch.setenv(name, home)
        key = Path(home, ".ssh", "id_ed25519.pub")
        key.parent.mkdir()
        key.write_text(f"{test_creating.KEY}\n", "ascii")
        asyncio.run(test_creating.test_a_cloud_vm_boots_after_eight_keys_and_two_answers())
        asyncio.run(test_hardware.test_all_is_three_keys_away())
    to_a_vm = sum(map(len, test_creating.CLOUD_VM))
    answers = len(test_creating.CLOUD_VM) - 1  # the first only opens the form
    to_a_setting = max(len(keys.split()) for keys, _ in test_hardware.ITEMS)
    return [
        Result("keys to a booting cloud VM / 8", to_a_vm / ALLOWED_TO_A_VM, 1.0),
        Result("answers to a booting cloud VM / 3", answers / ALLOWED_ANSWERS, 1.0),
        Result("keys to any item of hardware / 3", to_a_setting / ALLOWED_TO_A_SETTING, 1.0),
    ]

"""The recipes of docs/contributing.md, done to a copy of vmtui as they say."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STEP = re.compile(
    r"(?:(?P<new>New file)|In) `(?P<path>[^`]+)`"
    r"(?:, (?P<where>at the end of|before) `(?P<what>[^`]+)`)?:\n\n"
    r"```\w+\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
SEEN = """
import asyncio, json
from reference import pages
from tests.tui.support import running, shown
from vmtui.backends.demo import DemoBackend
from vmtui.config import Columns, Config
from vmtui.screens.vm import VMScreen

async def look():
    config = Config(columns=Columns(summary=("name", "guest_free", "tags")), theme="vmtui-sepia")
    async with running(DemoBackend(), config=config) as (app, pilot):
        print(json.dumps({
            "header": shown(app.dashboard.table).splitlines()[0].split(),
            "background": app.current_theme.background,
            "keys": pages.keys(),
            "settings": pages.settings(),
        }))

asyncio.run(look())
"""


def follow(folder: Path) -> None:
    """Each step of the page: all that is in a block of code."""
    page = (ROOT / "docs/contributing.md").read_text("utf-8")
    steps = list(STEP.finditer(page))
    assert len(steps) == len(re.findall(r"^```\w", page, re.MULTILINE)) > 0
    for step in steps:
        path = folder / step["path"]
        if step["new"]:
            assert not path.exists(), path
            path.write_text(step["code"])
            continue
        lines = path.read_text("utf-8").splitlines(keepends=True)
        place = end_of(lines, step["what"]) if "end" in step["where"] else at(lines, step["what"])
        path.write_text("".join([*lines[:place], step["code"], *lines[place:]]))


def at(lines: list[str], text: str) -> int:
    (place,) = [i for i, line in enumerate(lines) if line.strip().startswith(text)]
    return place


def end_of(lines: list[str], name: str) -> int:
    """Where the bracket is closed that the name's value is in."""
    (start,) = [i for i, line in enumerate(lines) if re.match(rf"{name}\b.*= \($", line)]
    return next(i for i in range(start, len(lines)) if lines[i].startswith(")"))


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of vmtui with all recipes done to it."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("vmtui", "themes", "reference", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    follow(folder)
    return folder


def python(folder: Path, *arguments: str) -> str:
    homes = {f"XDG_{name}_HOME": str(folder / "home") for name in ("CONFIG", "DATA", "STATE")}
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **homes, "PYTHONPATH": str(folder), "XDG_RUNTIME_DIR": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_figure_column_action_theme_and_settings_are_in_the_interface(changed: Path) -> None:
    seen = json.loads(python(changed, "-c", SEEN))
    assert {"FREE", "TAGS"} < set(seen["header"])
    assert seen["background"] == "#f6ecd9"
    assert "| `W` | `age` | Tell for how long it has been on. |" in seen["keys"]
    assert '| `greeting` | text | `""` | What to say first. |' in seen["settings"]
    assert "| `boot.wait` | number to 60 | Seconds for the boot menu. |" in seen["settings"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("--demo age web-01", "web-01 has been on for "),
        ("--demo set web-01 boot.wait=5 --plan", "boot wait: 0 → 5"),
        ("--demo top --json --count 1", '"guest_free"'),
        ("-c paper: list --names", "sketch\n"),
    ],
)
def test_they_are_commands_too(changed: Path, arguments: str, told: str) -> None:
    assert told in python(changed, "-m", "vmtui", *arguments.split())

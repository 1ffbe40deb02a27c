"""The sdist and the wheel: what is in them, and that pipx makes a working vmtui of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from vmtui import __version__

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SOURCES = ("vmtui", "themes", "docs", "scripts", "share", "tests", "benchmarks", "reference")
LIMIT_S = 300

Vmtui = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("built")
    python("build", "--no-isolation", "--outdir", str(folder), str(ROOT))
    return folder


@pytest.fixture
def installed(tmp_path: Path) -> Vmtui:
    """The vmtui that pipx has installed, on a store of its own."""
    surroundings = {
        **os.environ,
        **dict.fromkeys(
            ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"),
            str(tmp_path / "own"),
        ),
    }
    (tmp_path / "own").mkdir()

    def vmtui(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [tmp_path / "bin" / "vmtui", *arguments],
            env=surroundings,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    return vmtui


def python(module: str, *arguments: str, **variables: str) -> None:
    """Run one of the tools; what it says is in the test's output if it fails."""
    subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, **variables},
        timeout=LIMIT_S,
        check=True,
    )


def pipx_install(what: str, home: Path) -> None:
    """With the versions that are pinned, from wherever pip gets its packages here."""
    python(
        "pipx",
        "install",
        "--force",
        "--skip-maintenance",
        "--pip-args",
        f"--no-compile --constraint {ROOT / 'constraints.txt'}",
        what,
        PIPX_HOME=str(home / "pipx"),
        PIPX_BIN_DIR=str(home / "bin"),
        PIPX_MAN_DIR=str(home / "man"),
    )


def files(folder: str) -> set[str]:
    """Those of a checkout's folder that are worth keeping."""
    found = (path for path in (ROOT / folder).rglob("*") if path.is_file())
    return {str(path.relative_to(ROOT)) for path in found if "__pycache__" not in path.parts}


def test_each_holds_what_it_is_for_and_nothing_else(built: Path) -> None:
    python("twine", "check", "--strict", *map(str, built.iterdir()))
    sources = f"vmtui-{__version__}"
    with tarfile.open(built / f"{sources}.tar.gz") as sdist:
        names = {member.name.removeprefix(f"{sources}/") for member in sdist if member.isfile()}
    assert {name for name in names if "/" in name} == set().union(*map(files, SOURCES))
    assert {"LICENSE", "README.md", "Makefile", "constraints.txt", "pyproject.toml"} <= names
    with zipfile.ZipFile(built / f"{sources}-py3-none-any.whl") as wheel:
        names = {name for name in wheel.namelist() if f"{sources}.dist-info/" not in name}
    shared = {f"{sources}.data/data/{path}" for path in files("share")}
    assert names == files("vmtui") | {f"vmtui/{theme}" for theme in files("themes")} | shared


def test_pipx_installs_it_without_and_with_libvirt(
    built: Path, installed: Vmtui, tmp_path: Path
) -> None:
    wheel = built / f"vmtui-{__version__}-py3-none-any.whl"
    pipx_install(str(wheel), tmp_path)
    assert installed("--version").stdout == f"vmtui {__version__}\n"
    assert json.loads(installed("-c", "kvm:", "list", "--json").stdout) == []
    assert "Debian 13" in installed("images", "list").stdout
    assert (tmp_path / "man" / "man1" / "vmtui.1").is_file()
    refused = installed("-c", "test:///default", "list")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "libvirt-python is not installed" in refused.stderr
    assert "pip install 'vmtui[libvirt]'" in refused.stderr
    pipx_install(f"{wheel}[libvirt]", tmp_path)
    (vm,) = json.loads(installed("-c", "test:///default", "list", "--json").stdout)
    assert (vm["name"], vm["state"]) == ("test", "running")

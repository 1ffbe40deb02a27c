"""Files that a user writes by hand: settings, themes, images of his own, recipes of VMs."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.broken import DEEP, DIGITS, encoded, quick, texts, told, trees
from tests.unit.test_recipe import WHOLE
from vmtui.config import Config, load
from vmtui.images.catalogue import catalogue
from vmtui.recipe import read_file, read_preset, specified
from vmtui.spec import MICRO
from vmtui.spec_problems import problems
from vmtui.theming import load_theme, shipped_folders

CONFIG = {
    **msgspec.to_builtins(Config(connections=("kvm:", "qemu:///session"), keys={"delete": "f8"})),
    "alarms": {"cpu": 90.0, "sustained_s": 5, "memory_swap_in": "off"},
}
THEMES = tuple(
    path.read_text("utf-8") for folder in shipped_folders() for path in folder.glob("*.toml")
)
IMAGES = """
[mine]
title = "Mine"
url.amd64 = "https://example.org/images/mine.qcow2"
url.arm64 = "https://example.org/images/mine-arm.qcow2"
checksums = "SHA256SUMS"
signature = "inside"
keyrings = ["/usr/share/keyrings/debian.gpg"]
algorithm = "sha512"
disk = "3G"
memory = "512M"
firmware = "uefi"
user = "me"
serial_console = true
"""
RECIPE = f"""{WHOLE}
[[vm]]
name = "micro"
preset = "micro"
"""

Toml = st.SearchStrategy[bytes]


def toml(*examples: str) -> Toml:
    """Files of TOML: their values wrong, or the text itself."""
    trees_of = st.one_of(*(trees(tomllib.loads(example)) for example in examples))
    return encoded(trees_of.map(tomli_w.dumps) | texts(*examples))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files") / "file.toml"


def read_config(path: Path) -> object:
    return load(path)


def read_theme(path: Path) -> object:
    return load_theme(path)


def read_images(path: Path) -> object:
    return catalogue(path)


def read_recipe(path: Path) -> object:
    text = path.read_bytes().decode("utf-8", "replace")
    for recipe in read_file(text, path.name):
        spec, _ = specified(recipe, MICRO, ("ssh-ed25519 AAAA me@desk",))
        problems(spec)
    return None


@quick
@given(content=toml(tomli_w.dumps(CONFIG)))
def test_configuration(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    told(lambda: read_config(path))


@quick
@given(content=toml(*THEMES))
def test_themes(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    told(lambda: read_theme(path))


@quick
@given(content=toml(IMAGES))
def test_images_of_the_users_own(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    told(lambda: read_images(path))


@quick
@given(content=toml(RECIPE))
def test_recipes(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    told(lambda: read_recipe(path))


@pytest.mark.parametrize("read", [read_config, read_theme, read_images, read_recipe])
@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * DEEP,
        "a = " + "{b = " * DEEP,
        "a." * DEEP + "b = 1",
        "[" + "a." * DEEP + "b]",
        "a = " + "9" * DIGITS,
        "a = 0x" + "f" * 50_000,
        'a = "' + "x" * 10**6,
    ],
    ids=["arrays", "tables", "keys", "header", "digits", "hexadecimal", "open"],
)
def test_what_no_hand_writes(path: Path, read: Callable[[Path], object], text: str) -> None:
    path.write_text(text)
    assert told(lambda: read(path))


def test_a_preset_is_read_as_a_recipe_is() -> None:
    assert told(lambda: read_preset("a = " + "[" * DEEP, "preset"))

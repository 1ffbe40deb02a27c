"""What README and docs tell to type is what vmtui takes, and what they link to is there."""

import re
import shlex
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from vmtui.config import load
from vmtui.errors import UsageError
from vmtui.hardware.settings import setting
from vmtui.parser import build_parser
from vmtui.recipe import read_file, read_preset
from vmtui.theming import load_theme

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
GENERATED = "Made by `make reference`"
WRITTEN = [page for page in PAGES if GENERATED not in page.read_text("utf-8")]
PARSER = build_parser()
MISSING = "the following arguments are required"

FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^ {4}.*\n)+", re.MULTILINE)


def names(pages: list[Path]) -> list[str]:
    return [str(page.relative_to(ROOT)) for page in pages]


def blocks(text: str, language: str = "") -> Iterator[str]:
    yield from (m[2] for m in FENCED.finditer(text) if m[1] == language)
    if not language:
        yield from (m[0] for m in INDENTED.finditer(FENCED.sub("", text)))


def prose(text: str) -> str:
    return INDENTED.sub("", FENCED.sub("", text)).replace("\n", " ")


def simple_commands(line: str) -> Iterator[list[str]]:
    """The commands of a line for a shell, without what it does to their input and output."""
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    command: list[str] = []
    for word in words:
        if set(word) <= set("();<>|&"):
            yield command
            command = []
        else:
            command.append(word)
    yield command


def typed(text: str) -> Iterator[list[str]]:
    for block in blocks(text):
        for line in block.splitlines():
            if "vmtui " in line:
                yield from (c[1:] for c in simple_commands(line) if c[:1] == ["vmtui"])


def mentioned(text: str) -> Iterator[list[str]]:
    """In the running text, where `a|b` are two commands and `…` stands for what is left out."""
    for found in re.findall(r"`vmtui ([^`]*)`", prose(text)):
        words = [word for word in shlex.split(found) if word != "…"]
        yield from (list(chosen) for chosen in product(*(word.split("|") for word in words)))


def take(argv: list[str]) -> None:
    """What vmtui does with its arguments before it does anything."""
    try:
        options = PARSER.parse_args(argv)
    except SystemExit as end:  # --help, --version
        assert end.code == 0
        return
    if options.command == "set":
        for change in options.settings:
            key, _, value = change.partition("=")
            if value != "VALUE":
                setting(key).parse(value)


@pytest.mark.parametrize("page", names(WRITTEN))
def test_each_command_in_a_block_is_taken(page: str) -> None:
    for argv in typed((ROOT / page).read_text("utf-8")):
        try:
            take(argv)
        except UsageError as error:
            pytest.fail(f"{page}: vmtui {shlex.join(argv)}: {error}")


@pytest.mark.parametrize("page", names(WRITTEN))
def test_each_command_in_the_text_is_taken_but_for_what_it_is_about(page: str) -> None:
    for argv in mentioned((ROOT / page).read_text("utf-8")):
        try:
            take(argv)
        except UsageError as error:
            if MISSING not in str(error):
                pytest.fail(f"{page}: vmtui {shlex.join(argv)}: {error}")


@pytest.mark.parametrize("page", names(PAGES))
def test_each_link_leads_to_a_file_and_a_heading(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", (ROOT / page).read_text("utf-8")):
        if "://" in target:
            continue
        path, _, heading = target.partition("#")
        linked = (ROOT / page).parent / path if path else ROOT / page
        assert linked.is_file(), target
        assert not heading or heading in anchors(linked.read_text("utf-8")), target


def anchors(text: str) -> set[str]:
    """Of headings, as code hosts make them."""
    titles = re.findall(r"^#+ (.*)$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_page_is_linked_from_the_first() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert [p.name for p in PAGES if p.name != "README.md" and f"docs/{p.name}" not in readme] == []


@pytest.mark.parametrize("page", names(WRITTEN))
def test_each_toml_is_what_it_is_said_to_be(page: str, tmp_path: Path) -> None:
    for block in blocks((ROOT / page).read_text("utf-8"), "toml"):
        path = tmp_path / "some.toml"
        path.write_text(block)
        if "primary =" in block:
            load_theme(path)
        elif "[[vm]]" in block:
            read_file(block, page)
        elif "image =" in block:
            read_preset(block, page)
        else:
            load(path)

"""Which file is made by what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from reference import pages
from reference.manual import manual
from vmtui.completion import script
from vmtui.parser import build_parser


def _completion(shell: str) -> str:
    return script(build_parser(), shell)


FILES: Mapping[str, Callable[[], str]] = {
    "docs/keys.md": pages.keys,
    "docs/commands.md": pages.command_line,
    "docs/settings.md": pages.settings,
    "docs/figures.md": pages.figures,
    "share/man/man1/vmtui.1": manual,
    "share/bash-completion/completions/vmtui": partial(_completion, "bash"),
    "share/fish/vendor_completions.d/vmtui.fish": partial(_completion, "fish"),
    "share/zsh/site-functions/_vmtui": partial(_completion, "zsh"),
}

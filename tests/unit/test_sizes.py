"""A module of vmtui that is too long owns too much, and so does a function."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

VMTUI = Path(__file__).parents[2] / "vmtui"
MODULE_LINES = 300
FUNCTION_LINES = 40

LONGER = {
    "arguments/creating.py _add_create": "declares arguments",
    "backends/demo_around.py isolation": "a table of barriers",
    "backends/demo_definition.py defined": "a table of settings",
    "backends/demo_load.py host_counters": "a table of counters",
    "parser.py _add_console": "declares arguments",
    "theming.py of": "a table of inks",
}
"""What may be, and why."""


def long_ones() -> Iterator[str]:
    for path in sorted(VMTUI.rglob("*.py")):
        name, text = str(path.relative_to(VMTUI)), path.read_text("utf-8")
        if len(text.splitlines()) > MODULE_LINES:
            yield name
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                if node.end_lineno - node.lineno + 1 > FUNCTION_LINES:
                    yield f"{name} {node.name}"


def test_only_what_has_a_reason_is_long() -> None:
    assert sorted(long_ones()) == sorted(LONGER)

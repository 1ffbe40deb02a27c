import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmtui.spec import BLANK, Boot, BootKind, Limits, VMSpec, name_problem, problems
from vmtui.units import GIB, MIB, TIB

GOOD = VMSpec("web")


@pytest.mark.parametrize("name", ["web", "web-01", "a", "9front", "a.b_c", "x" * 63])
def test_good_names(name: str) -> None:
    assert name_problem(name) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "needs a name"),
        ("a/b", "a slash"),
        ("..", "start with a letter"),
        ("../x", "a slash"),
        ("a b", "a space"),
        ("-rf", "dash"),
        ("a;reboot", "';'"),
        ("$(id)", "'\\$'"),
        ("[red]x", "'\\['"),
        ("a\x1b[31m", "an escape"),
        ("a\n", "' '"),
        ("ünicode", "ü"),
        ("x" * 300, "300 characters"),
    ],
)
def test_bad_names_say_what_is_wrong(name: str, reason: str) -> None:
    problem = name_problem(name)
    assert problem is not None
    assert re.search(reason, problem), problem
    assert "\x1b" not in problem


def test_a_name_is_taken_in_any_case_of_letters() -> None:
    assert "already exists" in (name_problem("web", ["web"]) or "")
    assert "only in case" in (name_problem("Web", ["web"]) or "")


@given(st.text())
def test_a_name_without_problem_is_one_safe_path_component(name: str) -> None:
    if name_problem(name) is None:
        assert Path(name).name == name
        assert not name.startswith((".", "-"))
        assert name.isascii()


def test_a_good_spec_has_no_problems() -> None:
    assert problems(GOOD) == []


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (replace(GOOD, name="a b"), "name"),
        (replace(GOOD, vcpus=0), "vcpus"),
        (replace(GOOD, vcpus=-3), "vcpus"),
        (replace(GOOD, vcpus=1000), "vcpus"),
        (replace(GOOD, memory_bytes=MIB), "memory"),
        (replace(GOOD, memory_bytes=9999 * TIB), "memory"),
        (replace(GOOD, boot=BLANK), "disk"),
        (replace(GOOD, disk_bytes=12), "disk"),
        (replace(GOOD, disk_bytes=9999 * TIB), "disk"),
        (
            replace(
                GOOD,
                boot=Boot(BootKind.DISK, Path("/i.qcow2"), "qcow2", 10 * GIB),
                disk_bytes=GIB,
            ),
            "disk",
        ),
    ],
)
def test_each_problem_names_its_field(spec: VMSpec, field: str) -> None:
    assert [problem.field for problem in problems(spec)] == [field]


def test_the_host_sets_limits() -> None:
    limits = Limits(host_cpus=2, host_memory_bytes=GIB)
    found = problems(replace(GOOD, vcpus=9, memory_bytes=2 * GIB), limits)
    assert [problem.field for problem in found] == ["vcpus", "memory"]


def test_all_problems_are_told_at_once() -> None:
    found = problems(VMSpec("", vcpus=0, memory_bytes=0))
    assert [problem.field for problem in found] == ["name", "vcpus", "memory"]

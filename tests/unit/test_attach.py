import pytest

from vmtui.attach import _QUERIES, PromptSize

SIZE = (120, 40)
WORDS = b" stty rows 40 cols 120\r"


@pytest.mark.parametrize(
    "printed",
    [
        b"\r\nmicro:~# ",
        b"\r\nroot@web:/etc# \x1b[6n",
        b"\r\n\x1b[?2004h\x1b]0;root@web: ~\x07\x1b[01;32mroot@web\x1b[0m:~$ ",
    ],
)
def test_a_guest_is_told_the_size_at_its_shell_prompt(printed: bytes) -> None:
    size = PromptSize()
    size.printed(printed)
    assert size.words(*SIZE) == WORDS
    size.printed(b" stty rows 40 cols 120\r\nmicro:~# ")
    assert size.words(*SIZE) == b"", "once is enough"
    assert size.words(80, 24) == b" stty rows 24 cols 80\r"


@pytest.mark.parametrize(
    "printed",
    [
        b"micro login: ",
        b"Password: ",
        b"[  1.0] kernel",
        b"\r\nCopying 12# done",
        b"\x1b[?1049h\x1b[1;1H# ",
        b"\x1b[24;1Hline # ",
    ],
)
def test_nothing_is_typed_anywhere_else(printed: bytes) -> None:
    size = PromptSize()
    size.printed(printed)
    assert size.words(*SIZE) == b""


def test_nothing_is_typed_into_a_line_that_the_user_has_begun() -> None:
    size = PromptSize()
    size.printed(b"\r\nmicro:~# ")
    size.typed(b"rm ")
    size.printed(b"rm # ")
    assert size.words(*SIZE) == b""
    size.typed(b"\r")
    size.printed(b"\r\nmicro:~# ")
    assert size.words(*SIZE) == WORDS


def test_the_terminals_own_cursor_report_is_not_typing() -> None:
    size = PromptSize()
    size.printed(b"\r\nmicro:~# \x1b[6n")
    size.typed(b"\x1b[5;11R")
    assert size.words(*SIZE) == WORDS


@pytest.mark.parametrize(
    "query",
    [b"\x1b[6n", b"\x1b[c", b"\x1b[>c", b"\x1b]11;?\x07", b"\x05", b"\x1b[18t", b"\x1bP+q;?\x1b\\"],
)
def test_questions_in_the_history_are_not_asked_again(query: bytes) -> None:
    assert _QUERIES.sub(b"", b"a" + query + b"b") == b"ab"


def test_colours_in_the_history_stay() -> None:
    assert _QUERIES.sub(b"", b"\x1b[1;31mred\x1b[0m") == b"\x1b[1;31mred\x1b[0m"

"""What is recorded: programs, the files they are given, and what is typed."""

# ruff: noqa: E501 - what is typed, and the files that are shown

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

Size = tuple[int, int]
Step = str | Size

UP, DOWN, RIGHT, LEFT = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D"
PAGE_DOWN = "\x1b[6~"
F3, F5, F9, F10 = "\x1bOR", "\x1b[15~", "\x1b[20~", "\x1b[21~"

UNICODE = "Ünïcödé, 漢字かな한글 日本語, combining: e\u0301 n\u0303 o\u0308\u0304, thai: กำ ที่ นี้, ─│┌┐└┘├┤ ▀▄█ ⣿⡇\n"
CODE = (
    """/* A file with colours in it. */
#include <stdio.h>
#define LIMIT 10
"""
    + "// "
    + UNICODE
    + "".join(
        f"""
static int number_{i}(const char *name, int value) {{
\tif (value > LIMIT * {i} && name != NULL)
\t\treturn printf("%s: a line that is long enough to be wrapped on narrow terminals %d\\n", name, value + {i});
\treturn {i}; // TODO: less
}}
"""
        for i in range(20)
    )
)

COLOURS = r"""
for i in $(seq 0 15); do printf '\033[48;5;%dm  %3d ' $i $i; done; printf '\033[0m\n'
for i in $(seq 16 255); do printf '\033[38;5;%dm%3d ' $i $i; done; printf '\033[0m\n'
for i in $(seq 0 5 255); do printf '\033[48;2;%d;%d;%dm ' $i $((255-i)) 128; done; printf '\033[0m\n'
for i in $(seq 0 5 255); do printf '\033[38:2::%d:%d:%dm#' $i 64 $((255-i)); done; printf '\033[m\n'
for a in 1 2 3 4 5 7 9 '1;4' '3;7' '4;7;31' '2;9' 21 4:3 '4;58;5;9'; do printf '\033[%smstyle %s\033[0m ' "$a" "$a"; done
printf '\n\033[1;31;44mbold red on blue \033[22;39;49mnothing \033[7minverse to the end\033[K\033[27m\n'
for i in 30 31 32 33 34 35 36 37 90 91 92 93 94 95 96 97; do for j in 40 41 44 47 100 103 107; do printf '\033[%d;%dm%d ' $i $j $i; done; done
printf '\033[0m\n\033[4munderlined\n\033[24m\033[41merased \033[K\033[m\n'
"""

UNICODE_TEST = (
    UNICODE
    + "wide at the end of the line: "
    + "漢字" * 80
    + "\nzero width: a\u0300\u0301\u0302b, 가각 \u1100\u1161\u11a8, हिन्दी नमस्ते, עִבְרִית, اَلْعَرَبِيَّة\n"
    + "emoji: 😀 🚀 ❤ ☺ ✈ ⌚ ⚡ 👍 🎉 x\n"
    + "full width: ＡＢＣ half: ｱｲｳ\n"
    + "box: ╔═╦═╗ ║ ║ ╚═╩═╝ ░▒▓ ◆●○ ←↑→↓ ½ ¼ € £ ¥ µ °\n"
    + "lines: \x1b(0lqqwqqk x  x mqqvqqj ~ ` a f g\x1b(B and G1: \x1b)0\x0eqqqq\x0f letters\n"
)

INSTALLER_TEMPLATES = """Template: d-i/language
Type: select
Choices: C - No localization, Albanian - Shqip, Arabic - عربي, Chinese (Simplified) - 中文(简体), English - English, French - Français, German - Deutsch, Greek - Ελληνικά, Japanese - 日本語, Korean - 한국어, Russian - Русский, Thai - ภาษาไทย
Default: English - English
Description: Language:
 Choose the language to be used for the installation process. The selected
 language will also be the default language for the installed system.

Template: d-i/hostname
Type: string
Default: debian
Description: Hostname:
 Please enter the hostname for this system.
 .
 The hostname is a single word that identifies your system to the network.

Template: d-i/password
Type: password
Description: Root password:
 You need to set a password for 'root', the system administrative account.

Template: d-i/tasks
Type: multiselect
Choices: Debian desktop environment, ... GNOME, ... Xfce, web server, SSH server, standard system utilities
Default: SSH server, standard system utilities
Description: Choose software to install:
 At the moment, only the core of the system is installed.

Template: d-i/partition
Type: boolean
Default: false
Description: Write the changes to disks?
 If you continue, the changes listed below will be written to the disks.

Template: d-i/progress
Type: text
Description: Installing the base system

Template: d-i/step
Type: text
Description: Unpacking libc6 (amd64)…

Template: d-i/title
Type: title
Description: Configure the system
"""
INSTALLER = r"""#!/bin/sh
. /usr/share/debconf/confmodule
db_settitle d-i/title
for question in language hostname password tasks partition; do db_input critical d-i/$question; db_go || true; done
db_progress START 0 100 d-i/progress
db_progress SET 30
db_progress INFO d-i/step
read -r line </dev/tty
db_progress STOP
"""


@dataclass(frozen=True, slots=True)
class Session:
    """One program, and what is typed into it; a size is a resize."""

    argv: Sequence[str]
    steps: Callable[[Size], Sequence[Step]]
    files: Mapping[str, str] = field(default_factory=dict)
    term: str = "xterm-256color"


def _other(size: Size) -> list[Step]:
    """Smaller, larger, and back."""
    columns, rows = size
    return [(columns - 17, rows - 6), (columns + 11, rows + 4), size]


def _vttest(*menus: str) -> Callable[[Size], Sequence[Step]]:
    def steps(_size: Size) -> Sequence[Step]:
        return [step for menu in menus for step in (f"{menu}\r", *["\r"] * 16)]

    return steps


SESSIONS = {
    "vim": Session(
        ("vim", "-u", "/root/vimrc", "code.c"),
        lambda size: [
            "\x06", "/value\r", "n", "ggVjj", "\x1b", "owritten here é漢\x1b", ":split\r", "\x17j5\x05",
            ":vsplit\r", "gg", *_other(size), ":only\r", "ddp", "u", ":set list\r", ":qall!\r",
        ],
        {"code.c": CODE, "vimrc": "syntax on\nset mouse=a number hlsearch ruler showcmd bg=dark\n"},
    ),
    "htop": Session(
        ("htop", "--delay=100"),
        lambda size: ["t", "\x1bOQ", DOWN, "\x1b", "u", "\x1b", *_other(size), "?", "q", F9, "\x1b", F10],
    ),
    "less": Session(
        ("less", "-R", "code.c"),
        lambda size: [" ", " ", "b", "/return\r", "n", "&TODO\r", *_other(size), "g", "-S\r", RIGHT, "h", "q", "q"],
        {"code.c": CODE},
    ),
    "mc": Session(
        ("mc", "--nosubshell", "-x"),
        lambda size: ["\x1b[F", UP, F3, PAGE_DOWN, F10, F5, "\x1b\x1b", F9, DOWN, "\x1b\x1b", *_other(size), F10, "\r"],
        {"code.c": CODE, "notes.txt": UNICODE, "script.sh": "#!/bin/sh\n"},
    ),
    "dialog": Session(
        ("sh", "boxes.sh"),
        lambda size: [DOWN, DOWN, *_other(size), "\r", " ", DOWN, " ", "\r", "text é漢", "\r", "\r", "\r"],
        {
            "boxes.sh": r"""
dialog --backtitle Back --title Menu --menu 'Choose:' 0 0 0 1 One 2 Two 3 'Three 漢字' 4 Four
dialog --title Checks --checklist 'Check:' 0 0 0 a Alpha on b Beta off c Gamma on
dialog --title Input --inputbox 'Say:' 0 0 first
dialog --title Gauge --mixedgauge 'Progress' 0 0 42 one 5 two 7 three -30
dialog --calendar 'A day' 0 0 1 2 2023; dialog --textbox code.c 20 60
""",
            "code.c": CODE,
        },
    ),
    "whiptail": Session(
        ("sh", "boxes.sh"),
        lambda size: [DOWN, DOWN, "\r", " ", "\t", "\r", "text", "\r", "\r"],
        {
            "boxes.sh": r"""
whiptail --backtitle 'Debian installer' --title Menu --menu 'Choose:' 20 60 8 1 One 2 Two 3 Three 4 Four
whiptail --title Checks --checklist 'Check:' 18 60 8 a Alpha on b Beta off c Gamma on
whiptail --title Input --inputbox 'Say:' 10 50 first
(echo 10; sleep 1; echo 60; sleep 2) | whiptail --title Gauge --gauge 'Progress' 8 50 0
whiptail --yesno 'Really?' 8 40
"""
        },
    ),
    "installer": Session(
        ("sh", "start.sh"),
        lambda size: [DOWN, DOWN, UP, "\r", "\x7f\x7fx", "\r", "secret", "\r", " ", DOWN, " ", "\r", RIGHT, "\r", "\r"],
        {
            "start.sh": "mount -t tmpfs none /var/lib/cdebconf; mount -t tmpfs none /var/cache/debconf;"
            "chmod +x installer; /usr/lib/cdebconf/debconf-loadtemplate d-i templates;"
            "export DEBIAN_FRONTEND=newt DEBCONF_USE_CDEBCONF=1;"
            "/usr/lib/cdebconf/debconf -o d-i -p low ./installer",
            "templates": INSTALLER_TEMPLATES,
            "installer": INSTALLER,
        },
        term="linux",
    ),
    "tmux": Session(
        ("tmux", "-f", "/root/conf", "-S", "/root/socket", "new-session", "sh"),
        lambda size: [
            "echo one; seq 60\r", "\x02%", "printf '\\033[44mblue\\033[K\\n'\r", "\x02\"", "seq 5\r", *_other(size),
            "\x02o", "ls /usr/share/zoneinfo/Asia\r", "\x02[", "\x1b[5~", "q", "\x02z", "\x02w", "q", "exit\r",
        ],
        {"conf": "set -g mouse on\nset -g status-right ''\nset -g default-terminal tmux-256color\n"},
    ),
    "shell": Session(
        ("bash", "--norc", "--noprofile"),
        lambda size: [
            "ls -a --color=always ~ /usr/share/zoneinfo/Europe\r", "x=$(seq -s' ' 200); echo $x\r", "echo a long command that is edited " + LEFT * 9,
            "NEW \x01# \r", "seq 100\r", *_other(size), "cat code.c\r", *_other(size), "printf 'a\\tb\\tc\\n\\033[3g'\r", "clear\r", "tput civis cnorm\r",
        ],
        {"code.c": CODE},
    ),
    "colours": Session(("sh", "colours.sh"), lambda size: ["x\r"], {"colours.sh": COLOURS + "read -r line"}),
    "unicode": Session(("sh", "-c", "cat text; read -r line"), lambda size: [*_other(size)], {"text": UNICODE_TEST}),
    "vttest-cursor": Session(("vttest",), _vttest("1")),
    "vttest-screen": Session(("vttest",), _vttest("2")),
    "vttest-characters": Session(("vttest",), lambda size: ["3\r", "8\r", "\r", "\r", "\r", "\r", "0\r"]),
    "vttest-vt102": Session(("vttest",), _vttest("8")),
    "vttest-reports": Session(("vttest",), lambda size: ["6\r", "3\r", "\r", "4\r", "\r", "2\r", "\r"]),
    "vttest-vt220": Session(("vttest",), lambda size: ["11\r", "1\r", "2\r", "2\r", "\r", "\r", "3\r", "\r", "\r", "\r"]),
    "vttest-xterm": Session(("vttest",), lambda size: ["11\r", "8\r", "7\r", "\r", "\r", "\r", "\r", "\r"]),
    "vttest-colours": Session(("vttest",), lambda size: ["11\r", "6\r", "2\r", "\r", "3\r", "\r", "4\r", "\r", "5\r", "\r"]),
}  # fmt: skip

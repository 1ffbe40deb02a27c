"""The consoles of the demo fleet: a small guest with a boot log, a shell, a full-screen program."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from functools import partial

from vmtui.backends.printed import printed
from vmtui.backends.ways_in import Ending, console_named
from vmtui.errors import BusyError, StateError, read_only
from vmtui.model import VM, VMId

HISTORY_BYTES = 256 * 1024
SEQ_LIMIT = 20_000

_OK = "[\x1b[32m  OK  \x1b[0m] "
_FILES = ("\x1b[1;34metc\x1b[0m", "\x1b[1;32mhello\x1b[0m", "notes.txt", "日本語.txt")
_HELP = "clear  colours  echo TEXT  help  ls  seq N  stty rows R cols C  top  uname"


class DemoGuest:
    """What is behind one console: it takes keys, and prints to all who listen."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._line = ""
        self._size = (80, 24)
        self._full_screen = False
        self._listeners: list[asyncio.Queue[bytes]] = []
        self._history = b""
        self.typed = bytearray()
        """Every byte that came, for tests."""
        self.holder: DemoConsole | None = None
        """Who types on it."""

    @property
    def history(self) -> bytes:
        """What it printed."""
        return self._history

    def boot(self) -> None:
        """Print what a guest prints until it waits for a command."""
        self._full_screen, self._line = False, ""
        self._print(
            "\x1b[0m\x1b[2J\x1b[HDebian GNU/Linux 12\n\n"
            + "[    0.000000] Linux version 6.1.0 (debian) #1 SMP PREEMPT_DYNAMIC\n"
            + "[    0.412077] \x1b[33mpci 0000:00:01.0\x1b[0m: legacy IDE quirk\n"
            + "[    0.803331] EXT4-fs (vda1): mounted filesystem with ordered data mode\n"
            + "".join(
                f"{_OK}Started {unit}.\n"
                for unit in ("Journal Service", "Network Time Synchronization", "OpenSSH server")
            )
            + f"\n{self._name} login: root (automatic login)\n\n"
            + f"Type \x1b[1mhelp\x1b[0m.\n{self._prompt()}"
        )

    def forget(self) -> None:
        """As if it had printed nothing."""
        self._history = b""

    def listen(self) -> asyncio.Queue[bytes]:
        """What it prints from now on."""
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._listeners.append(queue)
        return queue

    def ignore(self, queue: asyncio.Queue[bytes]) -> None:
        """Listen no more."""
        if queue in self._listeners:
            self._listeners.remove(queue)

    def stop(self) -> None:
        """The power is cut: whoever listens is told by b""."""
        for queue in self._listeners:
            queue.put_nowait(b"")
        self._listeners.clear()
        self.holder = None

    def feed(self, data: bytes) -> None:
        """Take what was typed."""
        self.typed += data
        if self._full_screen:
            self._in_full_screen(data)
            return
        for character in data.decode(errors="replace").replace("\r\n", "\r"):
            self._type(character)

    def _type(self, character: str) -> None:
        if character in "\r\n":
            line, self._line = self._line, ""
            self._print("\n" + self._run(line))
            if not self._full_screen:
                self._print(self._prompt())
        elif character in "\x7f\b":
            if self._line:
                self._line = self._line[:-1]
                self._print("\b \b")
        elif character == "\x03":
            self._line = ""
            self._print(f"^C\n{self._prompt()}")
        elif character == "\x0c":
            self._print(f"\x1b[2J\x1b[H{self._prompt()}{self._line}")
        elif character.isprintable():
            self._line += character
            self._print(character)
        else:
            self._print(f"^{chr(ord(character) ^ 0x40)}")

    def _run(self, line: str) -> str:
        command, _, rest = line.strip().partition(" ")
        commands: dict[str, Callable[[str], str]] = {
            "": lambda _: "",
            "clear": lambda _: "\x1b[2J\x1b[H",
            "colours": lambda _: _colours(),
            "echo": lambda text: f"{text}\n",
            "help": lambda _: f"{_HELP}\n",
            "ls": lambda _: "  ".join(_FILES) + "\n",
            "seq": _seq,
            "stty": self._stty,
            "top": lambda _: self._top(),
            "uname": lambda _: "Linux\n",
        }
        run = commands.get(command)
        return run(rest) if run else f"sh: {command}: not found\n"

    def _stty(self, rest: str) -> str:
        words = rest.split()
        asked = dict(zip(words[::2], words[1::2], strict=False))
        if not all(value.isdecimal() for value in asked.values()):
            return "stty: bad number\n"
        columns, rows = self._size
        self._size = (int(asked.get("cols", columns)), int(asked.get("rows", rows)))
        return "" if asked else f"rows {rows}; columns {columns};\n"

    def _top(self) -> str:
        self._full_screen = True
        columns, rows = self._size
        title = f" top on {self._name}, {columns}x{rows}"
        lines = [f"\x1b[7m{title:<{columns}}\x1b[0m", "", "  PID  CPU  COMMAND"]
        lines += [
            f"{pid:>5}  {cpu:>3}  {name}"
            for pid, cpu, name in ((1, 0, "init"), (212, 61, "nginx"), (305, 4, "sshd"))
        ]
        lines += [""] * (rows - len(lines) - 1) + ["\x1b[7m q quits \x1b[0m"]
        return "\x1b[?1049h\x1b[?1h\x1b[?25l\x1b[H" + "\n".join(lines[:rows])

    def _in_full_screen(self, data: bytes) -> None:
        if b"q" not in data:
            self._print(f"\x1b[2;1H\x1b[K{data!r}")
            return
        self._full_screen = False
        self._print(f"\x1b[?1049l\x1b[?1l\x1b[?25h{self._prompt()}")

    def _prompt(self) -> str:
        return f"\x1b[1;32mroot@{self._name}\x1b[0m:\x1b[1;34m~\x1b[0m# "

    def _print(self, text: str) -> None:
        data = text.replace("\n", "\r\n").encode()
        self._history = (self._history + data)[-HISTORY_BYTES:]
        for queue in self._listeners:
            queue.put_nowait(data)


def _seq(rest: str) -> str:
    if not rest.isdecimal() or int(rest) > SEQ_LIMIT:
        return f"seq: a number up to {SEQ_LIMIT}\n"
    return "".join(f"{number}\n" for number in range(1, int(rest) + 1))


def _colours() -> str:
    plain = "".join(f"\x1b[{30 + n}m {n} \x1b[{40 + n}m    \x1b[0m" for n in range(8))
    bright = "".join(f"\x1b[{90 + n}m {n} \x1b[{100 + n}m    \x1b[0m" for n in range(8))
    many = "".join(f"\x1b[48;5;{n}m \x1b[0m" for n in range(16, 88))
    true = "".join(f"\x1b[48;2;{n * 3};{255 - n * 3};160m \x1b[0m" for n in range(72))
    looks = "\x1b[1mbold\x1b[0m \x1b[2mfaint\x1b[0m \x1b[3mitalic\x1b[0m \x1b[4munder\x1b[0m"
    return f"{plain}\n{bright}\n{many}\n{true}\n{looks} \x1b[7minverse\x1b[0m \x1b[9mgone\x1b[0m\n"


class DemoConsole:
    """One who listens to a DemoGuest, and types on it while he is its holder."""

    def __init__(self, guest: DemoGuest, history_bytes: int) -> None:
        self._guest = guest
        self._printed = guest.listen()
        history = guest.history[-history_bytes:] if history_bytes else b""
        if history:
            self._printed.put_nowait(history)
        self._history_bytes = len(history)
        self._ending = Ending.OFF

    async def read(self) -> bytes:
        """What the guest printed."""
        return await self._printed.get()

    async def write(self, data: bytes) -> None:
        """Type."""
        if self._guest.holder is self:
            self._guest.feed(data)

    async def close(self) -> None:
        """Let go."""
        self._guest.ignore(self._printed)
        if self._guest.holder is self:
            self._guest.holder = None

    def take_from(self) -> None:
        """Somebody else takes it over."""
        self._ending = Ending.TAKEN
        self._guest.ignore(self._printed)
        self._printed.put_nowait(b"")

    @property
    def history_bytes(self) -> int:
        """How much of what is read first was printed before."""
        return self._history_bytes

    @property
    def ending(self) -> Ending:
        """Why there is no more to read."""
        return self._ending

    @property
    def ended_because(self) -> str:
        """The same for people."""
        taken = self._ending is Ending.TAKEN
        return "it was taken over by somebody else" if taken else "it was powered off"


class DemoConsoles:
    """The ability of the demo backend, over its `vm`."""

    _read_only = False

    def __init__(self) -> None:
        super().__init__()
        self._guests: dict[tuple[VMId, str], DemoGuest] = {}

    async def vm(self, vm: VMId) -> VM:
        """One of the cast."""
        raise NotImplementedError

    def boot_guests(self, vm: VMId) -> None:
        """The VM starts."""
        for (of, _), guest in self._guests.items():
            if of == vm:
                guest.boot()

    def stop_guests(self, vm: VMId) -> None:
        """The VM is off."""
        for (of, _), guest in self._guests.items():
            if of == vm:
                guest.stop()

    async def guest(self, vm_id: VMId, name: str = "") -> DemoGuest:
        """What is behind a console. Raises InputError for a name that the VM does not have."""
        vm = await self.vm(vm_id)
        name = console_named(vm, name)
        guest = self._guests.get((vm_id, name))
        if guest is None:
            guest = self._guests[vm_id, name] = DemoGuest(vm.name)
            if vm.state.active:
                guest.boot()
        return guest

    async def console(
        self, vm: VMId, name: str = "", *, force: bool = False, history_bytes: int = 0
    ) -> DemoConsole:
        """Attach to a small shell."""
        await self._has_to_run(vm)
        if self._read_only:
            raise read_only(f"typing on {(await self.vm(vm)).name}'s console")
        guest = await self.guest(vm, name)
        if guest.holder is not None:
            if not force:
                raise BusyError(
                    "somebody else is attached to this console",
                    why="a console serves one at a time",
                    hint="Take it over: whoever has it is detached.",
                )
            guest.holder.take_from()
        guest.holder = DemoConsole(guest, history_bytes)
        return guest.holder

    async def watch_console(
        self, vm: VMId, name: str = "", *, history_bytes: int = 0
    ) -> DemoConsole:
        """Listen, without typing."""
        await self._has_to_run(vm)
        return DemoConsole(await self.guest(vm, name), history_bytes)

    def console_output(self, vm: VMId, name: str = "") -> AsyncGenerator[bytes, None]:
        """What it printed and prints, until it stops."""
        return printed(partial(self.watch_console, vm, name, history_bytes=HISTORY_BYTES))

    async def _has_to_run(self, vm: VMId) -> None:
        found = await self.vm(vm)
        if not found.state.active:
            raise StateError(f"{found.name} is {found.state.value}", hint="Start it first.")

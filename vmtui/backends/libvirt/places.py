"""Where a libvirt daemon on this machine keeps what its own interface does not give out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import psutil

from vmtui.backends.kvm import procfs

LOG_LINES = 6
_CONSOLE_LOG = "-console.log"


@dataclass(frozen=True, slots=True)
class Places:
    """Folders of the QEMU driver. For a daemon of another machine, only what is sure."""

    local: bool
    session: bool
    images: Path | None = None
    logs: Path | None = None
    run: Path | None = None
    settings: Path | None = None  # qemu.conf, which need not be there
    variables: Path | None = None  # of UEFI
    tpms: Path | None = None
    tpm_logs: Path | None = None

    @classmethod
    def of(cls, uri: str, environment: Mapping[str, str] = os.environ) -> Places:
        """For a canonical connection URI."""
        parts = urlsplit(uri)
        driver, _, transport = parts.scheme.partition("+")
        session = parts.path.startswith("/session")
        local = not parts.hostname and transport in ("", "unix")
        if driver != "qemu" or (not local and session):
            return cls(local, session)
        if session:
            return cls._of_session(dict(parse_qsl(parts.query)).get("socket"), environment)
        return cls._of_system(local=local)

    @classmethod
    def _of_system(cls, *, local: bool) -> Places:
        return cls(
            local,
            session=False,
            images=Path("/var/lib/libvirt/images"),
            logs=Path("/var/log/libvirt/qemu") if local else None,
            run=Path("/run/libvirt/qemu") if local else None,
            settings=Path("/etc/libvirt/qemu.conf") if local else None,
            variables=Path("/var/lib/libvirt/qemu/nvram"),
            tpms=Path("/var/lib/libvirt/swtpm"),
            tpm_logs=Path("/var/log/swtpm/libvirt/qemu") if local else None,
        )

    @classmethod
    def _of_session(cls, socket: str | None, environment: Mapping[str, str]) -> Places:
        home = Path(environment.get("HOME") or Path.home())
        data = Path(environment.get("XDG_DATA_HOME") or home / ".local/share")
        cache = Path(environment.get("XDG_CACHE_HOME") or home / ".cache")
        config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "libvirt"
        runtime = Path(environment.get("XDG_RUNTIME_DIR") or cache)
        base = Path(socket).parent if socket else runtime / "libvirt"
        logs = cache / "libvirt/qemu/log"
        return cls(
            local=True,
            session=True,
            images=data / "libvirt/images",
            logs=logs,
            run=base / "qemu/run",
            settings=config / "qemu.conf",
            variables=config / "qemu/nvram",
            tpms=config / "qemu/swtpm",
            tpm_logs=logs,
        )

    def console_log(self, name: str) -> str | None:
        """The file that keeps what a VM's console prints, for a daemon of this machine."""
        return str(self.logs / f"{name}{_CONSOLE_LOG}") if self.local and self.logs else None

    def variables_of(self, name: str) -> Path | None:
        """Where libvirt keeps a VM's UEFI variables unless told; None where nobody knows.

        libvirt 9.0 does not write that down: it looks for them by the domain's name.
        """
        return self.variables / f"{name}_VARS.fd" if self.variables is not None else None

    def can_log(self) -> bool:
        """Whether there is a folder for it; libvirt makes it only with its first VM."""
        if not self.local or self.logs is None:
            return False
        try:
            self.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            return False
        return True


def is_like(path: str, console_log: str) -> bool:
    """Whether that is such a file too, as one has that was renamed since."""
    return path.endswith(_CONSOLE_LOG) and Path(path).parent == Path(console_log).parent


def qemu_of(places: Places, name: str, uuid: str) -> psutil.Process | None:
    """The QEMU of that VM, if it runs on this machine."""
    if places.run is None or not places.local:
        return None
    try:
        process = psutil.Process(int((places.run / f"{name}.pid").read_text("ascii")))
        # A pid file may be stale; the process itself says whose it is.
        return process if uuid in process.cmdline() else None
    except (OSError, ValueError, psutil.Error):
        return None


def started_at_s(places: Places, name: str, uuid: str) -> float | None:
    """When the QEMU of that VM started, if it can be known."""
    process = qemu_of(places, name, uuid)
    return procfs.started_at_s(process.pid) if process is not None else None


def tail(path: Path, limit_bytes: int) -> bytes:
    """The end of a file. Raises OSError."""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - limit_bytes))
        return file.read(limit_bytes)


def last_words(places: Places, name: str) -> str:
    """What QEMU said last in its log, or "" where that can't be read."""
    if places.logs is None:
        return ""
    try:
        text = tail(places.logs / f"{name}.log", 4000).decode(errors="replace")
    except OSError:
        return ""
    # libvirt writes QEMU's command line, which ends like this, and notes of its own around it.
    lines = text.rpartition("-msg timestamp=on")[2].splitlines()
    said = [line for line in lines if line and "char device redirected" not in line]
    return "\n".join(said[-LOG_LINES:])

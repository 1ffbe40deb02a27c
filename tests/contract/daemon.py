"""A libvirtd of one's own: private folders, private sockets, ended by its own pid."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import libvirt
import platformdirs
import psutil

from vmtui.backends.libvirt.places import Places

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 45.0
"""libvirtd gives what it is at, such as a QEMU that has ended, 30 s before it ends itself."""

QEMU_CONF = "max_core = 0\n"
"""Later ones let QEMU have all it wants by default, which a process under sudo may not grant."""

_VARIABLES = "/var/lib/libvirt/qemu/nvram"

_CAPABILITIES = platformdirs.user_cache_path("vmtui") / "tests/capabilities"
"""What daemons of each kind found out about QEMU, which takes libvirt up to eight seconds anew; it
looks by itself whether that still holds for the QEMU, libvirt and kernel of now."""


class PrivateLibvirtd:
    """libvirtd in session mode. Its paths are short: a socket's path has 107 bytes."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="vl-", dir="/tmp"))
        self._folders = {
            "XDG_RUNTIME_DIR": self.root / "r",
            "XDG_CONFIG_HOME": self.root / "c",
            "XDG_DATA_HOME": self.root / "d",
            "XDG_CACHE_HOME": self.root / "k",
        }
        for folder in self._folders.values():
            folder.mkdir(mode=0o700)
        (self.root / "c/libvirt").mkdir()
        (self.root / "c/libvirt/qemu.conf").write_text(QEMU_CONF)
        self.run = self.root / "r/libvirt"
        self.socket = self.run / "libvirt-sock"
        self.uri = f"qemu+unix:///session?socket={self.socket}"
        self.images = self.root / "d/libvirt/images"
        self._capabilities = self.root / "k/libvirt/qemu/cache/capabilities"
        self._daemon: subprocess.Popen[bytes] | None = None

    @property
    def places(self) -> Places:
        """What a client in the daemon's own environment would find."""
        return Places.of(self.uri, self.environment)

    @property
    def environment(self) -> dict[str, str]:
        """What makes a client find the folders."""
        return {name: str(path) for name, path in self._folders.items()}

    def outside(self, path: str) -> str:
        """Where a file is that the daemon names."""
        return path

    def seen_by_both(self, xml: str) -> str:
        """A definition whose variables, if it says where they are, are there for us too."""
        return xml.replace(f"{_VARIABLES}/", f"{self.outside(_VARIABLES)}/")

    @staticmethod
    def missing() -> str:
        """Why there can be none here; empty: there can."""
        programs = ["libvirtd", "virtlogd", "qemu-system-x86_64"]
        if os.geteuid() == 0:
            programs.append("unshare")
        absent = [program for program in programs if _which(program) is None]
        return f"{', '.join(absent)} not installed" if absent else ""

    def _command(self) -> list[str]:
        # Root's libvirtd is the system one; a user namespace makes it that of a user. libvirt looks
        # that user up, so it has to be one that every machine has.
        nobody = pwd.getpwnam("nobody")
        wrapper = (
            ["unshare", "--user", f"--map-user={nobody.pw_uid}", f"--map-group={nobody.pw_gid}"]
            if os.geteuid() == 0
            else []
        )
        return [*wrapper, str(_which("libvirtd"))]

    def _environment(self) -> dict[str, str]:
        return dict(os.environ) | self.environment

    def start(self) -> None:
        """Run it until it answers."""
        if not self._capabilities.exists():
            _copy(_CAPABILITIES / type(self).__name__, self._capabilities)
        with (self.root / "libvirtd.out").open("ab") as output:
            self._daemon = subprocess.Popen(
                self._command(),
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._wait_until_it_answers()

    def _wait_until_it_answers(self) -> None:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline_s:
            assert self._daemon is not None
            if self._daemon.poll() is not None:
                break
            if self.socket.exists():
                with contextlib.suppress(libvirt.libvirtError):
                    libvirt.open(self.uri).close()
                    return
            time.sleep(0.02)
        words = (self.root / "libvirtd.out").read_text(errors="replace")[-1500:]
        raise RuntimeError(f"libvirtd did not start: {words}")

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End the daemon alone: VMs go on."""
        if self._daemon is not None:
            self._daemon.send_signal(number)
            self._daemon.wait(STOP_TIMEOUT_S)
            self._daemon = None

    def connect(self) -> libvirt.virConnect:
        """A client of its own, as another program would be."""
        return libvirt.open(self.uri)

    @contextlib.contextmanager
    def client(self) -> Iterator[libvirt.virConnect]:
        """As `connect`, closed at the end."""
        connection = self.connect()
        try:
            yield connection
        finally:
            connection.close()

    @property
    def pid(self) -> int:
        """The daemon's own process."""
        assert self._daemon is not None
        return self._daemon.pid

    def qemu_pid(self, name: str) -> int:
        """The process of a running VM."""
        return int((self.run / f"qemu/run/{name}.pid").read_text("ascii"))

    def clear(self) -> None:
        """Remove all VMs; the daemon goes on."""
        # libvirt waits for one that it ends until init has seen that too: here and there seconds.
        self._end("qemu-system-x86_64")
        with self.client() as connection:
            for domain in connection.listAllDomains():
                with contextlib.suppress(libvirt.libvirtError):
                    domain.destroy()
                with contextlib.suppress(libvirt.libvirtError):
                    domain.undefineFlags(
                        libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
                        | libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
                        | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
                    )

    def stop(self) -> None:
        """End it, the VMs, and all that it started; remove its folders."""
        self._end()
        self.kill(signal.SIGTERM) if self._daemon else None
        for process in self._children():
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
                process.wait(STOP_TIMEOUT_S)
        _copy(self._capabilities, _CAPABILITIES / type(self).__name__)
        shutil.rmtree(self.root, ignore_errors=True)

    def _end(self, program: str = "") -> None:
        for process in self._children():
            with contextlib.suppress(psutil.Error):
                if program in " ".join(process.cmdline()[:1]):
                    process.send_signal(signal.SIGKILL)

    def _children(self) -> list[psutil.Process]:
        """QEMU, swtpm and virtlogd, each by its pid file and only if it is of this place."""
        found = []
        for path in self.root.rglob("*.pid"):
            try:
                process = psutil.Process(int(path.read_text("ascii")))
                # libvirt gives QEMU another environment, but its sockets are of this place.
                mine = process.environ().get("XDG_RUNTIME_DIR") == str(self.root / "r") or any(
                    str(self.root) in word for word in process.cmdline()
                )
            except (OSError, ValueError, psutil.Error):
                continue
            if mine and (self._daemon is None or process.pid != self._daemon.pid):
                found.append(process)
        return found


# What a system libvirtd writes to, and the private folder that is bound over it.
_BOUND = {
    "/run": "run",
    "/var/lib/libvirt": "lib",
    "/var/log": "log",
    "/var/cache/libvirt": "cache",
    "/etc/libvirt": "etc",
}


class SystemLibvirtd(PrivateLibvirtd):
    """libvirtd as root's, in a mount namespace where all its folders are private ones.

    It has a hostname and a UUID of its own too, so that two of them can migrate VMs to each other.
    """

    def __init__(self) -> None:
        super().__init__()
        self.run = self.root / "run/libvirt"
        self.socket = self.run / "libvirt-sock"
        self.uri = f"qemu+unix:///system?socket={self.socket}"
        self.images = self.root / "lib/images"
        self._capabilities = self.root / "cache/qemu/capabilities"

    @property
    def places(self) -> Places:
        """Where its files are seen from outside; paths given to it are those inside."""
        return Places(
            local=True,
            session=False,
            images=Path("/var/lib/libvirt/images"),
            logs=self.root / "log/libvirt/qemu",
            run=self.run / "qemu",
            settings=self.root / "etc/qemu.conf",
            variables=self.root / "lib/qemu/nvram",
            tpms=self.root / "lib/swtpm",
            tpm_logs=self.root / "log/swtpm/libvirt/qemu",
        )

    def outside(self, path: str) -> str:
        """The same through the folder that is bound over its own."""
        for target, folder in _BOUND.items():
            if path.startswith(f"{target}/"):
                return f"{self.root / folder}{path.removeprefix(target)}"
        return path

    @staticmethod
    def missing() -> str:
        """Only root makes mount namespaces that a privileged libvirtd is content with."""
        return PrivateLibvirtd.missing() if os.geteuid() == 0 else "needs root"

    def _command(self) -> list[str]:
        # The settings alone: what this machine's own daemon has defined is not for us.
        (self.root / "etc").mkdir()
        for settings in Path("/etc/libvirt").glob("*.conf"):
            shutil.copy(settings, self.root / "etc")
        with (self.root / "etc/libvirtd.conf").open("a") as libvirtd_conf:
            libvirtd_conf.write(f'\nhost_uuid = "{uuid.uuid4()}"\n')
        steps = [f"echo {self.root.name} >/proc/sys/kernel/hostname"]
        for target, folder in _BOUND.items():
            (self.root / folder).mkdir(exist_ok=True)
            steps.append(f"mount --bind {self.root / folder} {target}")
        (self.root / "run/lock").mkdir()
        (self.root / "log/libvirt").mkdir()
        if Path("/dev/kvm").exists():
            # Where KVM opens but does not work, libvirtd probes QEMU anew for seconds with each
            # call; what QEMU's user can't open is not tried.
            (self.root / "kvm").touch(mode=0o000)
            steps.append(f"mount --bind {self.root / 'kvm'} /dev/kvm")
            # libvirt's own namespaces for QEMU can't handle a /dev/kvm that is a mount.
            with (self.root / "etc/qemu.conf").open("a") as qemu_conf:
                qemu_conf.write("\nnamespaces = []\n")
        with (self.root / "etc/qemu.conf").open("a") as qemu_conf:
            qemu_conf.write(f"\n{QEMU_CONF}")
        steps += [f"{_which('virtlogd')} -d", f"exec {_which('libvirtd')}"]
        self.root.chmod(0o711)
        unshare = ["unshare", "--mount", "--propagation=private", "--uts"]
        return [*unshare, "sh", "-ec", "; ".join(steps)]

    def qemu_pid(self, name: str) -> int:
        """The process of a running VM."""
        return int((self.run / f"qemu/{name}.pid").read_text("ascii"))


def _copy(source: Path, target: Path) -> None:
    """What libvirt keeps of each QEMU, one file at a time: others may copy theirs there too."""
    target.mkdir(parents=True, exist_ok=True)
    for path in source.glob("*.xml"):
        with tempfile.NamedTemporaryFile(dir=target, delete=False) as file:
            file.write(path.read_bytes())
        Path(file.name).rename(target / path.name)


def _which(program: str) -> str | None:
    # Daemons are in sbin, which is not on every user's path.
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")

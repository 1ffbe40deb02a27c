"""An HTTP server on loopback for tests: it serves ranges, and misbehaves as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

FOR_EVER = 10**9


@dataclass
class Served:
    """A file, and what goes wrong with it. Lists are used up, one element a request."""

    content: bytes = b""
    etag: str = '"1"'
    ranges: bool = True
    range_bytes: int = FOR_EVER  # the most that is given of a range
    chunked: bool = False  # no length is told
    claimed_bytes: int | None = None  # the length that is told instead of the true one
    status: int = 200
    redirect: str = ""
    breaks_after: list[int] = field(default_factory=list)  # bytes, then the connection ends
    stalls_after: list[int] = field(default_factory=list)  # bytes, then nothing any more
    goes_on: asyncio.Event | None = None  # waited for after the first half of the content
    then: Served | None = None  # what is there from the second request on


@dataclass
class Loopback:
    """What is served, by path, and what was asked for."""

    address: str = ""
    files: dict[str, Served] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def url(self, path: str) -> str:
        return self.address + path

    def serve(self, path: str, content: bytes = b"", **how: object) -> str:
        """Serve `content` there; gives its address."""
        self.files[path] = Served(content, **how)  # type: ignore[arg-type]
        return self.url(path)

    def ranges(self, path: str) -> list[str]:
        """Which ranges of it were asked for; "" is all of it."""
        return [headers.get("range", "") for asked, headers in self.asked if asked == path]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with _closing(writer):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            path = head[0].split(" ")[1].removeprefix(self.address)  # a proxy is sent all of it
            headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:])}
            self.asked.append((path, headers))
            await self._answer(path, headers, writer)

    async def _answer(
        self, path: str, headers: dict[str, str], writer: asyncio.StreamWriter
    ) -> None:
        file = self.files.get(path, Served(b"not here", status=404))
        if file.then is not None:
            self.files[path] = file.then
        status, first, last = file.status, 0, len(file.content) - 1
        told = ["Connection: close"]
        if file.etag:
            told.append(f"ETag: {file.etag}")
        wanted = headers.get("range", "").removeprefix("bytes=").partition("-")[0]
        if file.ranges and wanted and headers.get("if-range", file.etag) == file.etag:
            status, first = 206, int(wanted)
            last = min(len(file.content), first + file.range_bytes) - 1
            told.append(f"Content-Range: bytes {first}-{last}/{len(file.content)}")
        if file.redirect:
            status = 302
            told.append(f"Location: {file.redirect}")
        body = file.content[first : last + 1]
        length = len(body) if file.claimed_bytes is None else file.claimed_bytes
        told.append("Transfer-Encoding: chunked" if file.chunked else f"Content-Length: {length}")
        writer.write("\r\n".join([f"HTTP/1.1 {status} Told", *told, "", ""]).encode())
        await self._send(file, body, writer)

    async def _send(self, file: Served, body: bytes, writer: asyncio.StreamWriter) -> None:
        until = file.breaks_after.pop(0) if file.breaks_after else FOR_EVER
        stall = file.stalls_after.pop(0) if file.stalls_after else FOR_EVER
        whole = len(body) <= min(until, stall)
        body = body[: min(until, stall)]
        if file.goes_on is not None:
            half = len(body) // 2
            writer.write(body[:half])
            body = body[half:]
            await writer.drain()
            await file.goes_on.wait()
        if file.chunked:
            end = b"0\r\n\r\n" if whole else b""
            body = b"%x\r\n%b\r\n%b" % (len(body), body, end) if body else end
        writer.write(body)
        await writer.drain()
        if stall < FOR_EVER:
            await asyncio.Event().wait()  # until the server ends


@contextlib.contextmanager
def _closing(writer: asyncio.StreamWriter) -> Iterator[None]:
    """Close it in the end; at once if the server ends, or the other side has gone."""
    try:
        yield
        writer.close()
    except (ConnectionError, asyncio.IncompleteReadError):
        writer.transport.abort()
    except asyncio.CancelledError:
        writer.transport.abort()
        raise


@contextlib.asynccontextmanager
async def serving(certificate: Path | None = None) -> AsyncIterator[Loopback]:
    """A server; with a certificate (and its key in the same file) one that speaks TLS."""
    loopback = Loopback()
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(loopback.handle(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    loopback.address = f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
    try:
        yield loopback
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def make_certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that nobody trusts yet, with its key."""
    path = folder / "certificate.pem"
    what = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=here"
    names = ("-addext", "subjectAltName=IP:127.0.0.1")
    files = ("-keyout", str(path), "-out", f"{path}.crt")
    subprocess.run(("openssl", *what.split(), *names, *files), check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path

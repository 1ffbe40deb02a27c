import asyncio
import errno
import os
import re
import shutil
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest

from tests.loopback import Loopback, Served, make_certificate, serving
from vmtui.errors import OperationError, UnreachableError, VmtuiError
from vmtui.images.download import KEPT_S, TEXT_LIMIT_BYTES, Downloads
from vmtui.images.http import Patience
from vmtui.images.meter import told as told_in_words
from vmtui.images.part import Part, continues
from vmtui.progress import Progress, no_progress
from vmtui.units import MIB

CONTENT = os.urandom(MIB + 12345)
QUICK = Patience(failures=2, pause_s=0.01)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
async def server() -> AsyncIterator[Loopback]:
    async with serving() as loopback:
        yield loopback


@pytest.fixture
def downloads(tmp_path: Path) -> Downloads:
    return Downloads(tmp_path / "downloads", QUICK)


async def fetched(
    downloads: Downloads, url: str, told: list[Progress] | None = None, limit_bytes: int = 64 * MIB
) -> bytes:
    progress = no_progress if told is None else told.append
    async with downloads.of(url, progress) as download:
        return (await download.fetch(progress, limit_bytes=limit_bytes)).read_bytes()


async def refused(downloads: Downloads, url: str, limit_bytes: int = 64 * MIB) -> str:
    with pytest.raises(VmtuiError) as caught:
        await fetched(downloads, url, limit_bytes=limit_bytes)
    assert isinstance(caught.value, OperationError | UnreachableError)
    return str(caught.value)


def parts(downloads: Downloads) -> list[int]:
    return [path.stat().st_size for path in downloads.root.glob("*.part")]


async def test_a_file_with_progress(server: Loopback, downloads: Downloads) -> None:
    told: list[Progress] = []
    assert await fetched(downloads, server.serve("/i", CONTENT), told) == CONTENT
    assert told[-1].fraction == 1.0
    assert re.fullmatch(r"1 MiB of 1 MiB · \d+ [KMG]iB/s", told[-1].text)
    # What is whole is not asked for again.
    assert await fetched(downloads, server.url("/i")) == CONTENT
    assert server.ranges("/i") == [""]


def test_progress_in_words() -> None:
    told = told_in_words("", 312 * MIB, 445 * MIB, 23 * MIB)
    assert told.text == "312 MiB of 445 MiB · 23 MiB/s · 5 s left"
    assert told_in_words("", 5 * MIB, None, 2 * MIB) == Progress("5 MiB · 2 MiB/s", None, "image")


async def test_the_rest_is_asked_for_after_a_break(server: Loopback, downloads: Downloads) -> None:
    url = server.serve("/i", CONTENT, breaks_after=[400_000, 300_000])
    assert await fetched(downloads, url) == CONTENT
    assert server.ranges("/i") == ["", "bytes=400000-", "bytes=700000-"]
    assert server.asked[1][1]["if-range"] == '"1"'


async def test_the_rest_is_asked_for_where_it_came_from(
    server: Loopback, downloads: Downloads
) -> None:
    """Of mirrors with the same file each has a validator of its own."""
    one = server.serve("/one", CONTENT, etag='"one"', breaks_after=[400_000])
    other = server.serve("/other", CONTENT, etag='"other"')
    url = server.serve("/i", redirect=one, then=Served(redirect=other))
    assert await fetched(downloads, url) == CONTENT
    assert server.ranges("/one") == ["", "bytes=400000-"]
    assert server.ranges("/other") == []


@pytest.mark.parametrize(
    "gone", [Served(status=404, ranges=False), Served(CONTENT, breaks_after=[0])]
)
async def test_a_place_that_is_gone_is_asked_for_anew(
    server: Loopback, downloads: Downloads, gone: Served
) -> None:
    one = server.serve("/one", CONTENT, breaks_after=[400_000], then=gone)
    other = server.serve("/other", CONTENT)
    url = server.serve("/i", redirect=one, then=Served(redirect=other))
    assert await fetched(downloads, url) == CONTENT
    assert server.ranges("/other") == ["bytes=400000-"]


async def test_a_server_that_gives_less_than_the_rest_is_asked_again(
    server: Loopback, downloads: Downloads
) -> None:
    url = server.serve("/i", CONTENT, breaks_after=[400_000], range_bytes=500_000)
    assert await fetched(downloads, url) == CONTENT
    assert server.ranges("/i") == ["", "bytes=400000-", "bytes=900000-"]


async def test_the_rest_is_asked_for_by_the_next_process(
    server: Loopback, downloads: Downloads
) -> None:
    url = server.serve("/i", CONTENT, breaks_after=[100_000, 0, 0])
    assert "tried 3 times" in await refused(downloads, url)
    assert parts(downloads) == [100_000]
    assert await fetched(Downloads(downloads.root, QUICK), url) == CONTENT
    assert server.ranges("/i")[-1] == "bytes=100000-"


async def test_without_a_length(server: Loopback, downloads: Downloads) -> None:
    url = server.serve("/i", CONTENT, chunked=True, breaks_after=[200_000])
    assert await fetched(downloads, url) == CONTENT
    assert await fetched(downloads, url) == CONTENT
    assert len(server.asked) == 2


async def test_a_server_without_ranges_begins_anew(server: Loopback, downloads: Downloads) -> None:
    url = server.serve("/i", CONTENT, ranges=False, breaks_after=[400_000])
    assert await fetched(downloads, url) == CONTENT
    assert server.ranges("/i") == ["", "bytes=400000-"]


@pytest.mark.parametrize("etag", ["", 'W/"1"'])
async def test_without_a_validator_nothing_is_resumed(
    server: Loopback, downloads: Downloads, etag: str
) -> None:
    url = server.serve("/i", CONTENT, etag=etag, breaks_after=[400_000])
    assert await fetched(downloads, url) == CONTENT
    assert server.ranges("/i") == ["", ""]


@pytest.mark.parametrize("etag", ['"2"', '"1"'])
async def test_a_file_that_changes_between_its_parts(
    server: Loopback, downloads: Downloads, etag: str
) -> None:
    """With another validator the server sends all of it; with the old one its length tells."""
    new = os.urandom(len(CONTENT) + 7)
    then = Served(new, etag=etag)
    url = server.serve("/i", CONTENT, breaks_after=[400_000], then=then)
    assert await fetched(downloads, url) == new


async def test_a_server_that_sends_another_piece(server: Loopback, downloads: Downloads) -> None:
    url = server.serve("/i", CONTENT, breaks_after=[400_000])
    file = server.files["/i"]
    file.then = Served(CONTENT[:-1], etag='"3"')

    async with downloads.of(url) as download:
        with pytest.raises(asyncio.CancelledError):
            await cancelled_at_first_pause(download.fetch)
        # As if it were the file that the server has now, of which something else was here.
        state = download.state()
        state.validator = '"3"'
        download.path.with_suffix(".json").write_bytes(msgspec.json.encode(state))
        assert (await download.fetch()).read_bytes() == CONTENT[:-1]


async def cancelled_at_first_pause(fetch: object) -> None:
    task: asyncio.Task[Path] | None = None

    def progress(told: Progress) -> None:
        if "trying again" in told.text:
            assert task is not None
            task.cancel()

    task = asyncio.create_task(fetch(progress))  # type: ignore[operator]
    await task


@pytest.mark.parametrize(
    ("status", "piece", "etag", "goes_on"),
    [
        (206, "bytes 400-999/1000", '"1"', True),
        (206, "bytes 400-999/1000", '"2"', False),
        (206, "bytes 300-999/1000", '"1"', False),
        (206, "bytes 400-998/999", '"1"', False),
        (416, "bytes */1000", '"1"', False),
    ],
)
def test_only_the_rest_of_the_same_file_is_taken(
    status: int, piece: str, etag: str, goes_on: bool
) -> None:
    response = httpx.Response(status, headers={"Content-Range": piece, "ETag": etag})
    assert continues(response, Part("/i", '"1"', 1000), 400) is goes_on


async def test_a_length_that_is_too_long(server: Loopback, downloads: Downloads) -> None:
    url = server.serve("/i", CONTENT, ranges=False, claimed_bytes=len(CONTENT) + 5)
    assert "can't be downloaded" in await refused(downloads, url)


async def test_limits(server: Loopback, downloads: Downloads) -> None:
    honest, silent = server.serve("/i", CONTENT), server.serve("/c", CONTENT, chunked=True)
    for url in (honest, silent):
        assert "more than the 1 MiB" in await refused(downloads, url, limit_bytes=MIB)
    assert parts(downloads) == []
    long = server.serve("/sums", b"x" * (TEXT_LIMIT_BYTES + 1))
    with pytest.raises(OperationError, match="more than"):
        await downloads.text(long)


async def test_a_stall_ends_and_the_rest_is_asked_for(
    server: Loopback, downloads: Downloads
) -> None:
    url = server.serve("/i", CONTENT, stalls_after=[500_000])
    told: list[Progress] = []
    impatient = Patience(stall_s=0.2, failures=50, pause_s=0.01)
    assert await fetched(Downloads(downloads.root, impatient), url, told) == CONTENT
    assert any(t.text.startswith("it sends nothing any more, for 0.2 s; trying") for t in told)


async def test_refusals_and_what_is_worth_another_try(
    server: Loopback, downloads: Downloads
) -> None:
    assert "the server answers 404" in await refused(downloads, server.url("/none"))
    assert len(server.asked) == 1
    url = server.serve("/busy", b"later", status=503, then=Served(CONTENT))
    assert await fetched(downloads, url) == CONTENT
    assert await downloads.text(url) == CONTENT


async def test_redirects(server: Loopback, downloads: Downloads) -> None:
    server.serve("/i", CONTENT, breaks_after=[300_000])
    url = server.serve("/latest", redirect="/i")
    assert await fetched(downloads, url) == CONTENT
    assert server.ranges("/i") == ["", "bytes=300000-"]
    server.serve("/a", redirect=server.url("/b"))
    assert "from one address to the next" in await refused(
        downloads, server.serve("/b", redirect="/a")
    )
    for elsewhere in ("file:///etc/passwd", "ftp://127.0.0.1/i"):
        url = server.serve("/away", redirect=elsewhere)
        assert "neither https nor http" in await refused(downloads, url)


async def test_tls(
    server: Loopback, downloads: Downloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path)
    async with serving(certificate) as secure:
        url = secure.serve("/i", CONTENT)
        assert "certificate is not trusted" in await refused(downloads, url)
        monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")
        assert await fetched(downloads, url) == CONTENT
        plain = server.serve("/i", CONTENT)
        told = await refused(downloads, secure.serve("/away", redirect=plain))
        assert "anyone on the way could change it" in told
        assert server.asked == []


async def test_the_proxy_of_the_environment(
    server: Loopback, downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.serve("http://images.example/i", CONTENT)
    monkeypatch.setenv("HTTP_PROXY", server.address)
    assert await fetched(downloads, "http://images.example/i") == CONTENT
    monkeypatch.setenv("HTTP_PROXY", "gopher://old")
    assert "the proxy that the environment names" in await refused(downloads, server.url("/x"))


async def test_nobody_there(downloads: Downloads) -> None:
    async with serving() as gone:
        url = gone.serve("/i", CONTENT)
    assert "tried 3 times" in await refused(downloads, url)


async def test_two_askers_share_one_download(server: Loopback, downloads: Downloads) -> None:
    goes_on = asyncio.Event()
    url = server.serve("/i", CONTENT, goes_on=goes_on)
    told: list[Progress] = []

    def watch(progress: Progress) -> None:
        told.append(progress)
        if progress.fraction:
            goes_on.set()

    async def second() -> bytes:
        async with downloads.of(url, watch) as download:
            return (await download.fetch(watch)).read_bytes()

    async with downloads.of(url) as download:
        first = asyncio.create_task(download.fetch())
        other = asyncio.create_task(second())
        assert (await first).read_bytes() == CONTENT
    assert await other == CONTENT
    assert len(server.asked) == 1
    assert told[0].text.startswith("downloaded by another already: ")


async def test_a_killed_process_lets_the_one_that_waits_go_on(
    server: Loopback, downloads: Downloads
) -> None:
    url = server.serve("/i", CONTENT, stalls_after=[MIB])
    code = (
        "import asyncio, sys\nfrom pathlib import Path\n"
        "from vmtui.images.download import Downloads\n"
        "async def main():\n"
        "    async with Downloads(Path(sys.argv[1])).of(sys.argv[2]) as download:\n"
        "        await download.fetch()\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, str(downloads.root), url)
    )
    while not sum(parts(downloads)):
        await asyncio.sleep(0.02)
    other_is_seen = asyncio.Event()

    def watch(told: Progress) -> None:
        if told.text.startswith("downloaded by another already: ") and told.fraction:
            other_is_seen.set()

    async def second() -> bytes:
        async with downloads.of(url, watch) as download:
            return (await download.fetch(watch)).read_bytes()

    waiting = asyncio.create_task(second())
    await other_is_seen.wait()
    process.kill()
    await process.wait()
    assert await waiting == CONTENT
    assert re.fullmatch(r"bytes=\d{6,7}-", server.ranges("/i")[-1])


async def test_cancelled_the_part_stays_until_it_is_old(
    server: Loopback, downloads: Downloads
) -> None:
    url = server.serve("/i", CONTENT, breaks_after=[200_000])
    async with downloads.of(url) as download:
        with pytest.raises(asyncio.CancelledError):
            await cancelled_at_first_pause(download.fetch)
    assert parts(downloads) == [200_000]
    async with downloads.of(server.url("/other")):
        assert parts(downloads) == [200_000]
    old_s = time.time() - KEPT_S - 1
    for path in downloads.root.iterdir():
        os.utime(path, (old_s, old_s))
    async with downloads.of(server.url("/other")):
        assert parts(downloads) == []


async def test_too_little_space(
    server: Loopback, downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.serve("/i", CONTENT)
    usage = shutil.disk_usage("/")._replace(free=1000)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage)
        assert "there is too little space" in await refused(downloads, url)
        assert "are needed, 1000 B are free" in await refused(downloads, url)


async def test_a_disk_that_is_full(server: Loopback, downloads: Downloads) -> None:
    """A real one: /dev/full says what a full disk says."""
    url = server.serve("/i", CONTENT, chunked=True)
    async with downloads.of(url) as download:
        download.discard = lambda: None  # type: ignore[method-assign]
        download.path.symlink_to("/dev/full")
        with pytest.raises(OperationError, match=os.strerror(errno.ENOSPC)):
            await download.fetch()

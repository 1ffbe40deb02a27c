"""Requests to the places that images come from, and what their refusals mean."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from vmtui import __version__
from vmtui.errors import OperationError

_WORTH_A_RETRY = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Patience:
    """How long, and how often, a server is waited for."""

    connect_s: float = 15.0
    stall_s: float = 30.0  # without a byte
    failures: int = 4  # in a row that brought next to nothing
    pause_s: float = 1.0  # after the first of them, then twice as long each time
    pause_limit_s: float = 30.0
    redirects: int = 8


class BrokenOffError(Exception):
    """The server did not answer, or not to the end: another try may help."""


@asynccontextmanager
async def session(patience: Patience) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the system's certificates and the environment's proxies."""
    context = await asyncio.to_thread(ssl.create_default_context)
    try:
        client = httpx.AsyncClient(
            verify=context,
            timeout=httpx.Timeout(patience.stall_s, connect=patience.connect_s),
            headers={"User-Agent": f"vmtui/{__version__}", "Accept-Encoding": "identity"},
        )
    except (httpx.InvalidURL, ValueError) as error:
        raise OperationError(
            "nothing can be downloaded",
            why=f"the proxy that the environment names can't be used: {error}",
            hint="Look at HTTPS_PROXY, HTTP_PROXY and ALL_PROXY.",
        ) from error
    async with client:
        yield client


@asynccontextmanager
async def answer(
    client: httpx.AsyncClient, url: str, patience: Patience, headers: Mapping[str, str]
) -> AsyncIterator[httpx.Response]:
    """The response to a GET, its body not yet read; good (2xx) or 416.

    Redirects are followed, but never from https to http. Raises BrokenOffError, OperationError.
    """
    try:
        request = client.build_request("GET", url, headers=headers)
        for _ in range(patience.redirects + 1):
            response = await client.send(request, stream=True)
            try:
                if response.next_request is None:
                    _check_status(url, response)
                    yield response
                    return
                request = _next(url, request, response.next_request)
            finally:
                await response.aclose()
    except httpx.TimeoutException as error:
        connecting = isinstance(error, httpx.ConnectTimeout)
        waited_s = patience.connect_s if connecting else patience.stall_s
        what = "it can't be reached" if connecting else "it sends nothing any more"
        raise BrokenOffError(f"{what}, for {waited_s:g} s") from error
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise refused(url, f"it leads to an address that can't be used: {error}") from error
    except httpx.TransportError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise refused(url, f"the server's certificate is not trusted: {error}") from error
        raise BrokenOffError(_broken(error)) from error
    raise refused(url, f"it leads from one address to the next, over {patience.redirects} times")


def _broken(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.ConnectError):
        return f"it can't be reached: {error}"
    if isinstance(error, httpx.ProxyError):
        return f"the proxy refuses: {error}"
    return "the connection ended early"


def refused(url: str, why: str, hint: str = "") -> OperationError:
    """The error for an address from which nothing can be had."""
    return OperationError(f"{url} can't be downloaded", why=why, hint=hint)


def _next(url: str, request: httpx.Request, following: httpx.Request) -> httpx.Request:
    if following.url.scheme not in ("https", "http"):
        raise refused(url, f"it leads to {following.url}, which is neither https nor http")
    if request.url.scheme == "https" and following.url.scheme != "https":
        raise refused(url, f"it leads to {following.url}, where anyone on the way could change it")
    return following


def _check_status(url: str, response: httpx.Response) -> None:
    status = response.status_code
    said = f"the server answers {status} {response.reason_phrase}".strip()
    if status in _WORTH_A_RETRY:
        raise BrokenOffError(said)
    if not (response.is_success or status == 416):
        raise refused(url, said, "Is there a newer image? See: vmtui images list")

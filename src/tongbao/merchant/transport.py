"""HTTP for shops that have no World: httpx, with verification always on and nothing taken from the environment.

Redirects are never followed, answers never decompressed and never read beyond their cap (threats T75, T78, T81).
"""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path
from types import TracebackType

import httpx

from tongbao.kernel.port import Clock
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.system import SystemClock
from tongbao.wire.certificate import chain_pem, load_chain
from tongbao.wire.http import Request, Response
from tongbao.wire.sign import load_rsa_private, private_pem
from tongbao.wire.world import Limits, NoAnswer, NotSent

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)


def _context(configuration: MerchantConfiguration) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    names = configuration.manifest.client_certificate
    if names is not None and configuration.credentials.get(names[0]):
        _show(context, *[configuration.credentials[name] for name in names])
    return context


def _show(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Have the client certificate shown to servers that ask for one. TLS reads it from a file only, its owner's
    alone and gone at once."""
    text = private_pem(load_rsa_private(key, "private_key")) + chain_pem(load_chain(certificate, "certificate"))
    with tempfile.TemporaryDirectory(prefix="tongbao-") as folder:
        file = Path(folder) / "client.pem"
        file.touch(mode=0o600)
        file.write_text(text, "ascii")
        context.load_cert_chain(file)


def _request(request: Request, limits: Limits) -> httpx.Request:
    """The same request as httpx says it; percent-encoding is kept as it is."""
    headers = [*request.headers, (b"Accept-Encoding", b"identity")]
    if request.header("user-agent") is None:
        headers.append((b"User-Agent", b"tongbao"))
    timeout = httpx.Timeout(limits.first_byte_seconds, connect=limits.connect_seconds)
    return httpx.Request(
        request.method,
        request.url,
        headers=[(b"Host", request.host.encode("ascii")), *headers],
        content=request.body or None,
        extensions={"timeout": timeout.as_dict()},
    )


def _failure(error: httpx.HTTPError | httpx.InvalidURL) -> NotSent | NoAnswer:
    if isinstance(error, _NOT_SENT):
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLError):
                return NotSent("TLS", str(cause))
            cause = cause.__cause__ or cause.__context__
        return NotSent("CONNECT", type(error).__name__)
    if isinstance(error, httpx.InvalidURL):
        return NotSent("RESOLVE", "the address cannot be read")
    return NoAnswer("TIMEOUT" if isinstance(error, httpx.TimeoutException) else "CLOSED", type(error).__name__)


class _Collector:
    """Adds up an answer's bytes within its limits."""

    def __init__(self, response: httpx.Response, limits: Limits, clock: Clock) -> None:
        self._response = response
        self._limits = limits
        self._clock = clock
        self._end = clock.monotonic() + limits.total_seconds
        self._parts: list[bytes] = []
        self._size = 0
        if sum(len(name) + len(value) for name, value in response.headers.raw) > limits.header_bytes:
            raise NoAnswer("TOO_LARGE", "headers")

    def add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._limits.answer_bytes:
            raise NoAnswer("TOO_LARGE", f"more than {self._limits.answer_bytes} bytes")
        if self._clock.monotonic() > self._end:
            raise NoAnswer("TIMEOUT", "the answer took too long")
        self._parts.append(part)

    def result(self) -> Response:
        return Response(self._response.status_code, tuple(self._response.headers.raw), b"".join(self._parts))


class HttpTransport:
    """Synchronous exchanges for one configuration, over a pool that ``close`` gives back."""

    def __init__(self, configuration: MerchantConfiguration, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._client = httpx.Client(
            verify=_context(configuration),
            proxy=configuration.proxy or None,
            trust_env=False,
            follow_redirects=False,
        )

    def __call__(self, request: Request, limits: Limits) -> Response:
        """Raises NotSent or NoAnswer."""
        try:
            response = self._client.send(_request(request, limits), stream=True, follow_redirects=False)
            try:
                collector = _Collector(response, limits, self._clock)
                for part in response.iter_raw():
                    collector.add(part)
            finally:
                response.close()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _failure(error) from error
        return collector.result()

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> HttpTransport:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncHttpTransport:
    """The same for asyncio; it is a ``tongbao.wire.world.Transport``."""

    def __init__(self, configuration: MerchantConfiguration, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._client = httpx.AsyncClient(
            verify=_context(configuration),
            proxy=configuration.proxy or None,
            trust_env=False,
            follow_redirects=False,
        )

    async def __call__(self, request: Request, limits: Limits) -> Response:
        """Raises NotSent or NoAnswer."""
        try:
            response = await self._client.send(_request(request, limits), stream=True, follow_redirects=False)
            try:
                collector = _Collector(response, limits, self._clock)
                async for part in response.aiter_raw():
                    collector.add(part)
            finally:
                await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _failure(error) from error
        return collector.result()

    async def close(self) -> None:
        await self._client.aclose()

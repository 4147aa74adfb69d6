"""Site: a small web server in a thread of its own: who may come in, the files of a page, start and stop."""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
from collections.abc import Awaitable, Callable, Sequence
from importlib.resources.abc import Traversable

from aiohttp import web

from streamfx.errors import SinkError
from streamfx.web.connection_limits import LIMITS, ConnectionLimits, ConnectionListener
from streamfx.web.listen_address import Access, ListenAddress, not_listening

log = logging.getLogger(__name__)

ACCESS = web.RequestKey("access", Access)
"""What whoever sent a request may do; set for every request that passes the guard."""

_START_SECONDS = 10.0
_STOP_SECONDS = 5.0
_LAST_REQUESTS_SECONDS = 0.5
_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
# Nothing from elsewhere, nothing inline, no frame around it, no address passed on; what a page shows is not
# for other sites, and nothing of it stays on the disk.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


class Site:
    """Serves files and whatever routes it is given, to those that may come in.

    Everything asked for passes the guard first: the page must be meant (`ListenAddress.answers_to`), the
    request must come from a page of this site, and the visitor must know the token where there is one. It is
    in the address that is shown; from there it goes into a cookie.

    Args:
        name: name of the site in messages.
        place: place where it listens.
        files: folders whose files it offers, ``index.html`` as ``/``; the first that has a name wins.
        routes: further things it answers.
        before_stop: callback that is told in the loop that the site ends, so that lasting answers
            (WebSockets) end.
        tls: certificate and key, for https; None: http.
        limits: limits on what connections may take.

    Attributes:
        address: address to open in a browser, token included; empty before `start`.
        look_address: the same for those who may look on and change nothing.
        loop: the event loop of its thread.
    """

    def __init__(
        self,
        name: str,
        place: ListenAddress,
        files: Sequence[Traversable],
        routes: Sequence[web.RouteDef] = (),
        before_stop: Callable[[], Awaitable[None]] | None = None,
        tls: ssl.SSLContext | None = None,
        limits: ConnectionLimits = LIMITS,
    ) -> None:
        self.name, self.place = name, place
        self.address = self.look_address = ""
        self.loop = asyncio.new_event_loop()
        self._files, self._routes, self._before_stop, self._tls = files, routes, before_stop, tls
        self._limits = limits
        self._started = threading.Event()
        self._stopping: asyncio.Event | None = None
        self._problem: Exception | None = None
        self._cookie = "streamfx"
        self._thread = threading.Thread(target=self._run, name=f"streamfx-site {name}", daemon=True)

    def start(self) -> None:
        """Listen; returns once visitors can come.

        Raises:
            SinkError: the address cannot be listened at.
        """
        self._thread.start()
        if not self._started.wait(_START_SECONDS):
            raise SinkError(f"{self.name}: the page did not come up within {_START_SECONDS:g} s")
        if self._problem is not None:
            raise not_listening(self.name, self.place, self._problem) from self._problem

    def stop(self) -> None:
        """End at once: tell the visitors, close what they hold, stop listening. May be called twice."""
        if self._thread.is_alive() and self._stopping is not None:
            self.call(self._stopping.set)
        if self._thread.ident is not None:
            self._thread.join(_STOP_SECONDS)
            if self._thread.is_alive():
                log.warning("%s: the thread of the page hangs; it is left behind", self.name)

    def call(self, what: Callable[[], object]) -> None:
        """Have something called in the loop, from any thread; does nothing once the site has ended."""
        try:
            self.loop.call_soon_threadsafe(what)
        except RuntimeError:
            return  # the loop is closed

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(self._serve())
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            self.loop.close()
            self._started.set()

    async def _serve(self) -> None:
        self._stopping = asyncio.Event()
        application = web.Application(middlewares=[self._guard], client_max_size=1 << 16)
        application.on_response_prepare.append(_add_headers)
        application.add_routes([*self._routes, *self._file_routes()])
        runner = web.AppRunner(
            application,
            handle_signals=False,
            access_log=None,
            shutdown_timeout=_LAST_REQUESTS_SECONDS,
            keepalive_timeout=self._limits.idle_seconds,
            lingering_time=_LAST_REQUESTS_SECONDS,
        )
        await runner.setup()
        assert runner.server is not None
        listener = ConnectionListener(self.name, runner.server, self._limits, self._tls)
        try:
            try:
                await listener.listen(self.place.host, self.place.port)
            except (OSError, ValueError) as error:  # ValueError: a name that cannot be one
                self._problem = error
                return
            secure = self._tls is not None
            self.address = self.place.address(listener.port, secure=secure)
            self.look_address = self.place.address(listener.port, Access.LOOK, secure=secure)
            self._cookie = f"streamfx-{listener.port}"
            self._started.set()
            await self._stopping.wait()
            if self._before_stop is not None:
                await self._before_stop()
        finally:
            await listener.close()
            await runner.cleanup()

    def _other_tokens(self, request: web.Request) -> tuple[str | None, ...]:
        """Return the tokens that come otherwise than in the address: a program's and a browser's."""
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        return bearer.strip() if scheme.lower() == "bearer" else None, request.cookies.get(self._cookie)

    def _file_routes(self) -> list[web.RouteDef]:
        found: dict[str, Traversable] = {}
        for folder in self._files:
            for file in folder.iterdir():
                if "." + file.name.rpartition(".")[2] in _TYPES:
                    found.setdefault("/" if file.name == "index.html" else f"/{file.name}", file)
        return [web.get(path, _answering(file)) for path, file in found.items()]

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if not self.place.answers_to(request.host):
            raise _closing(
                web.HTTPMisdirectedRequest(
                    text=f"This page does not answer to the name {request.host!r}. Use its address in "
                    "numbers, or allow the name in the setting web.names.\n"
                )
            )
        if not _is_from_here(request):
            raise _closing(web.HTTPForbidden(text="This page takes nothing from pages of other sites.\n"))
        given = request.query.get("token")
        knows = self.place.access(given)
        access = knows or next(filter(None, map(self.place.access, self._other_tokens(request))), None)
        if access is None:
            raise _closing(
                web.HTTPForbidden(
                    text="Open the whole address that streamfx printed, with ?token= and what follows. "
                    "Programs may send the token as 'Authorization: Bearer TOKEN'.\n"
                )
            )
        request[ACCESS] = access
        response = await handler(request)
        if self.place.token is not None and knows and given and not response.prepared:
            secure = self._tls is not None
            response.set_cookie(
                self._cookie, given, httponly=True, samesite="Strict", path="/", secure=secure
            )
        return response


def _closing(refusal: web.HTTPException) -> web.HTTPException:
    """Return a refusal after which the connection is closed: a stranger keeps none."""
    refusal.force_close()
    return refusal


def _is_from_here(request: web.Request) -> bool:
    """Return whether a request comes from a page of this site, from the address bar, or from a program.

    Browsers say where a request comes from and pages cannot change that. Opening the page itself is allowed
    from anywhere: a link to it does no harm.
    """
    origin = request.headers.get("Origin")
    if origin is not None and origin not in (f"http://{request.host}", f"https://{request.host}"):
        return False
    opening = request.path == "/" and request.headers.get("Sec-Fetch-Mode") == "navigate"
    return opening or request.headers.get("Sec-Fetch-Site", "none") in ("same-origin", "none")


def _answering(file: Traversable) -> Callable[[web.Request], Awaitable[web.Response]]:
    content, kind = file.read_bytes(), _TYPES["." + file.name.rpartition(".")[2]]

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=content, content_type=kind, charset="utf-8")

    return answer


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "streamfx"
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)

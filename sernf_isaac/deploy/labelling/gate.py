"""What a request to the label page must show before anything but its head is read."""

import re
import secrets
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LARGEST_BODY = 2**20
"""In bytes: a label with a reward at every step of an hour."""
HOSTS = ("127.0.0.1", "localhost", "[::1]")
"""What browsers call this machine, at any port: one may come through a tunnel."""


class Gate:
    """Answers requests that must not pass; the others reach the application untouched.

    A page of somebody else's, whose name was made to point at this machine (DNS rebinding), shows
    its own name as the host. A body without a stated size is not read at all.

    Args:
        app: The application behind it.
        token: What its requests show, in the header X-Token or as `?token=`.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http" and (refusal := self._refusal(scope)):
            status, detail = refusal
            headers = {"Connection": "close"}  # whatever body there is stays unread
            answer = JSONResponse({"detail": detail}, status, headers)
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        if re.sub(r":\d+$", "", headers.get("host", "")).lower() not in HOSTS:
            return 400, f"this page answers to {', '.join(HOSTS)} only; open the address printed"
        query = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])
        shown = headers.get("x-token") or query[0]
        if not secrets.compare_digest(shown.encode(), self._token):
            return 401, "wrong or missing token; use the address label.py printed"
        if "transfer-encoding" in headers:
            return 411, "say how long the body is (Content-Length)"
        length = headers.get("content-length", "0")
        if not re.fullmatch(r"[0-9]{1,20}", length):
            return 400, f"Content-Length is {length[:40]!r}, expected a number"
        if int(length) > LARGEST_BODY:
            return 413, f"a body of {length} bytes; at most {LARGEST_BODY} are read"
        return None

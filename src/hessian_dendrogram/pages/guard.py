"""Let only the holder of the printed address into an app, and tell that one nothing of the machine's folders.

Every request, of a page and of a websocket alike, has to

- name this machine as its `Host`: with DNS rebinding another site's name leads here, and a browser takes what it gets
  for a part of that site;
- come from the app's own page, where it says where it comes from (`Origin`): browsers let any page open websockets
  anywhere, and count other ports of this machine as the same site;
- have the token as the first part of its path. A cookie would not do: browsers send it to all ports of a machine,
  whoever listens there.

marimo has many more endpoints than its pages ask for. Only those that they need are open, and its errors are not passed
on in its words.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from starlette.responses import PlainTextResponse, RedirectResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_OWN_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:\d{1,5})?")
_OPEN = {
    "GET": re.compile(r"|health|[a-z0-9-]+\.(ico|json|png)|assets/.+|@file/.+"),
    "POST": re.compile(r"api/kernel/(set_ui_element_value|set_model_value|function_call)|api/export/html"),
    "websocket": re.compile(r"ws"),
}
_QUERY = {"session_id", "download", "filename"}  # of a page's requests; `file` would name a notebook
_PATH = re.compile(  # as a value of JSON or an attribute: of POSIX or Windows, as an address, with %2F for /
    r"""(?<=[\s:=,(\[{])(?P<quote>["'])(?=file:|/[^>]|%2F|[A-Za-z](?::|%3A)(?:\\\\|/|%5C|%2F))"""
    r"""(?:\\.|(?!(?P=quote))[^\\])*(?P=quote)"""
)
_ELEMENT = re.compile(r"(<marimo-filename[^>]*>)[^<]*")
_SETTINGS = re.compile(r'data-config="[^"]*"')


@dataclass(frozen=True)
class Guard:
    """An ASGI application, for requests and websockets, that stands before marimo's, which is mounted at `/` + `token`.

    What is `shown` is an app and its run directory, which `widgets.opened` finds in the notebook.
    """

    app: ASGIApp
    token: str
    shown: Mapping[str, str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is allowed, refuse the rest without a word about the run."""
        token, slash, endpoint = scope["path"].removeprefix("/").partition("/")
        method = scope["method"] if scope["type"] == "http" else "websocket"
        if not _is_own_page(scope):
            await PlainTextResponse("This app answers its own page only.\n", 403)(scope, receive, send)
        elif not hmac.compare_digest(token.encode(), self.token.encode()):
            await PlainTextResponse("Open the whole address that the command printed.\n", 403)(scope, receive, send)
        elif not slash and method == "GET":
            await RedirectResponse(f"/{self.token}/")(scope, receive, send)
        elif method not in _OPEN or not _OPEN[method].fullmatch(endpoint):
            await PlainTextResponse("There is nothing here.\n", 404)(scope, receive, send)
        else:
            query = [pair for pair in parse_qsl(scope["query_string"].decode("latin-1")) if pair[0] in _QUERY]
            passed = {**scope, "query_string": urlencode(query).encode(), "meta": self.shown}
            await self.app(passed, receive, send if method == "websocket" else _Answer(send))


def _is_own_page(scope: Scope) -> bool:
    hosts, origins = ([value for name, value in scope["headers"] if name == wanted] for wanted in (b"host", b"origin"))
    if len(hosts) != 1 or not _OWN_HOST.fullmatch(hosts[0].decode("latin-1")):
        return False
    return all(origin == b"http://" + hosts[0] for origin in origins)


@dataclass
class _Answer:
    """Passes on a response: errors without their words, pages without the machine's folders, all else as it is."""

    send: Send
    start: Message = field(default_factory=dict)
    changed: Callable[[bytes], bytes] | None = None
    body: bytes = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.start, self.changed = message, _change(message)
        if self.changed is None:
            await self.send(message)
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")
            if not message.get("more_body", False):
                body = self.changed(self.body)
                headers = [(name, value) for name, value in self.start["headers"] if name.lower() != b"content-length"]
                await self.send({**self.start, "headers": [*headers, (b"content-length", b"%d" % len(body))]})
                await self.send({"type": "http.response.body", "body": body})


def _change(start: Message) -> Callable[[bytes], bytes] | None:
    """What has to be done to the body of a response; `None` where that is passed on as it comes."""
    if start["status"] >= 400:
        return lambda _: b"This cannot be answered.\n"
    kinds = [value for name, value in start["headers"] if name.lower() == b"content-type"]
    if any(kind.startswith(b"text/html") for kind in kinds):
        return lambda body: without_folders(body.decode()).encode()
    return None


def without_folders(page: str) -> str:
    """Leave of every path in a page of marimo's nothing but the name of a notebook."""
    return _PATH.sub(_without_folder, _SETTINGS.sub('data-config="{}"', _ELEMENT.sub(r"\1", page)))


def _without_folder(match: re.Match[str]) -> str:
    name = re.split(r"[/\\]|%2F|%5C", match[0][1:-1])[-1]
    return match["quote"] + (name if name.endswith(".py") else "") + match["quote"]

"""The chat over a WebSocket: several questions may be under way at once, told apart by conversation_id."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timezone
from typing import Any, cast

from websockets.asyncio.client import ClientConnection as AsyncConnection
from websockets.asyncio.client import connect as _connect_async
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as _connect
from websockets.typing import Subprotocol

from .errors import ConnectionFailed, PermissionDenied, StreamFailed, TarsError
from .models import ChatMessage

ENDS = {"complete", "rag_complete"}


def _url(base_url: str) -> str:
    return "ws" + base_url.removeprefix("http") + "/ws/chat"


def _protocols(token: str) -> list[Subprotocol]:
    return [Subprotocol("bearer"), Subprotocol(token)]


def _refusal(error: Exception) -> TarsError:
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        kind = PermissionDenied if status == 403 else ConnectionFailed
        return kind(f"the server refused the socket with {status}", status=status)
    return ConnectionFailed(str(error) or type(error).__name__)


@contextmanager
def connect(base_url: str, token: str) -> Iterator[ClientConnection]:
    try:
        socket = _connect(_url(base_url), subprotocols=_protocols(token), compression=None, proxy=None)
    except (OSError, InvalidStatus, TimeoutError) as error:
        raise _refusal(error) from error
    with socket:
        yield socket


@asynccontextmanager
async def connect_async(base_url: str, token: str) -> AsyncIterator[AsyncConnection]:
    try:
        socket = await _connect_async(_url(base_url), subprotocols=_protocols(token), compression=None, proxy=None)
    except (OSError, InvalidStatus, TimeoutError) as error:
        raise _refusal(error) from error
    async with socket:
        yield socket


def _question(content: str, options: dict[str, Any]) -> str:
    return json.dumps({"type": "chat", "content": content, **options})


def _pong() -> str:
    return json.dumps({"type": "pong", "timestamp": datetime.now(timezone.utc).replace(tzinfo=None).isoformat()})


def _parse(text: str | bytes) -> ChatMessage:
    return cast(ChatMessage, json.loads(text))


def _checked(message: ChatMessage) -> ChatMessage:
    if message["type"] == "error":
        raise StreamFailed(message["error"], detail=message.get("code"))
    return message


class Chat:
    """An open socket. Options of questions: conversation_id, use_rag, rag_top_k, rag_threshold, model,
    temperature, max_tokens."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    def send(self, content: str, **options: Any) -> None:
        self._socket.send(_question(content, options))

    def receive(self, timeout: float | None = None) -> ChatMessage:
        """The next message; pings are answered and passed over."""
        while True:
            try:
                message = _parse(self._socket.recv(timeout=timeout))
                if message["type"] != "ping":
                    return message
                self._socket.send(_pong())
            except ConnectionClosed as error:
                raise ConnectionFailed(str(error)) from error

    def ask(self, content: str, *, use_rag: bool = True, **options: Any) -> Iterator[ChatMessage]:
        """Send one question and give its messages up to the last one; for one question at a time."""
        self.send(content, use_rag=use_rag, **options)
        while True:
            message = _checked(self.receive())
            yield message
            if message["type"] in ENDS:
                return


class AsyncChat:
    """Chat, as coroutines."""

    def __init__(self, socket: AsyncConnection) -> None:
        self._socket = socket

    async def send(self, content: str, **options: Any) -> None:
        await self._socket.send(_question(content, options))

    async def receive(self) -> ChatMessage:
        while True:
            try:
                message = _parse(await self._socket.recv())
                if message["type"] != "ping":
                    return message
                await self._socket.send(_pong())
            except ConnectionClosed as error:
                raise ConnectionFailed(str(error)) from error

    async def ask(self, content: str, *, use_rag: bool = True, **options: Any) -> AsyncIterator[ChatMessage]:
        await self.send(content, use_rag=use_rag, **options)
        while True:
            message = _checked(await self.receive())
            yield message
            if message["type"] in ENDS:
                return

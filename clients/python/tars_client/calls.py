"""What each method asks of the server: shared by the synchronous and the asynchronous client."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any, Union
from urllib.parse import quote

import httpx

from .errors import TarsError
from .models import Message, Tokens

#: A path, (name, bytes), or (name, open file).
File = Union[str, Path, tuple[str, Union[bytes, IO[bytes]]]]

EARLY_S = 30.0  # refresh a token that expires sooner
WAIT_MAX_S = 30.0  # between two tries of a request


@dataclass
class Call:
    """One request of the interface."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    query: dict[str, Any] = field(default_factory=dict)
    files: list[tuple[str, tuple[str, bytes]]] | None = None
    form: dict[str, str] = field(default_factory=dict)
    anonymous: bool = False  # without credentials
    final: bool = False  # a 401 is the answer


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def authenticate(client_id: str, secret: str | None, tenant: str | None, device_name: str | None,
                 device_type: str | None) -> Call:
    return Call("POST", "/auth/token", anonymous=True,
                body=_given(client_id=client_id, client_secret=secret, tenant=tenant, device_name=device_name,
                            device_type=device_type))


def refresh(refresh_token: str) -> Call:
    return Call("POST", "/auth/refresh", anonymous=True, body={"refresh_token": refresh_token})


def revoke(token: str) -> Call:
    return Call("POST", "/auth/revoke", final=True, body={"token": token})


def validate() -> Call:
    return Call("POST", "/auth/validate", final=True)


def get(path: str, **query: Any) -> Call:
    return Call("GET", path, query=_given(**query))


def index_document(file_path: str, force_reindex: bool, collection: str | None) -> Call:
    return Call("POST", "/rag/index",
                body=_given(file_path=file_path, force_reindex=force_reindex, collection=collection))


def index_batch(file_paths: Iterable[str], force_reindex: bool, max_concurrent: int,
                collection: str | None) -> Call:
    return Call("POST", "/rag/index/batch",
                body=_given(file_paths=list(file_paths), force_reindex=force_reindex,
                            max_concurrent=max_concurrent, collection=collection))


def _read(file: File) -> tuple[str, bytes]:
    if isinstance(file, tuple):
        name, content = file
        return name, content if isinstance(content, bytes) else content.read()
    path = Path(file)
    return path.name, path.read_bytes()


def upload(files: File | Sequence[File], collection: str | None, wait: bool) -> Call:
    several = [files] if isinstance(files, (str, Path, tuple)) else list(files)
    return Call("POST", "/rag/upload", files=[("file", _read(file)) for file in several],
                form=_given(collection=collection), query={} if wait else {"wait": "false"})


def delete_document(document_id: str) -> Call:
    return Call("DELETE", "/rag/document", body={"document_id": document_id})


def question(path: str, query: str, top_k: int | None, relevance_threshold: float | None,
             include_sources: bool | None, rerank: bool | None, filters: dict[str, Any] | None,
             conversation_id: str | None, collection: str | None) -> Call:
    return Call("POST", path,
                body=_given(query=query, top_k=top_k, relevance_threshold=relevance_threshold,
                            include_sources=include_sources, rerank=rerank, filters=filters,
                            conversation_id=conversation_id, collection=collection))


def search(query: str, top_k: int | None, filters: dict[str, Any] | None,
           relevance_threshold: float | None, mode: str | None, collection: str | None) -> Call:
    return Call("POST", "/rag/search",
                body=_given(query=query, top_k=top_k, filters=filters, relevance_threshold=relevance_threshold,
                            mode=mode, collection=collection))


def conversation(method: str, conversation_id: str) -> Call:
    return Call(method, "/conversation/" + quote(conversation_id, safe=""))


def save_message(conversation_id: str, message: Message) -> Call:
    return Call("POST", "/conversation/message", body={"conversation_id": conversation_id, "message": message})


def historical_metrics(start_time: str | datetime, end_time: str | datetime, interval: int | None) -> Call:
    return get("/metrics/historical", start_time=as_text(start_time), end_time=as_text(end_time),
               interval=interval)


def as_text(moment: str | datetime) -> str:
    """A time as the server wants it: UTC without a zone. One without a zone is taken for UTC."""
    if isinstance(moment, str):
        return moment
    if moment.tzinfo is not None:
        moment = moment.astimezone(timezone.utc).replace(tzinfo=None)
    return moment.isoformat()


def _expires_at(token: str) -> float:
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"])
    except (IndexError, KeyError, TypeError, ValueError):
        return float("inf")  # an API key, or a token of another kind


class Credentials:
    """The tokens in use. Not for two threads at once."""

    def __init__(self, token: str | None, refresh_token: str | None) -> None:
        self.token = token
        self.refresh_token = refresh_token

    def take(self, tokens: Tokens) -> str:
        self.token = tokens["access_token"]
        self.refresh_token = tokens["refresh_token"]
        return self.token

    def forget(self) -> None:
        self.token = self.refresh_token = None

    def is_old(self) -> bool:
        """True when they should be refreshed before the next request."""
        return bool(self.token and self.refresh_token and _expires_at(self.token) - time.time() < EARLY_S)


def build(http: httpx.Client | httpx.AsyncClient, call: Call, credentials: Credentials) -> httpx.Request:
    headers = {}
    if credentials.token and not call.anonymous:
        headers["authorization"] = "Bearer " + credentials.token
    return http.build_request(call.method, call.path, params=call.query or None, json=call.body,
                              files=call.files, data=call.form or None, headers=headers)


def wait_before(error: TarsError, tries: int, retries: int) -> float | None:
    """Seconds to wait before the next try; None when there is none."""
    if error.status not in (429, 503) or tries >= retries:
        return None
    wait = 0.5 * 2**tries if error.retry_after is None else error.retry_after
    return wait if wait <= WAIT_MAX_S else None

"""The synchronous client."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import httpx

from . import calls, models
from .calls import Call, Credentials, File
from .errors import AuthenticationError, ConnectionFailed, PermissionDenied, StreamFailed, TarsError, error_of

if TYPE_CHECKING:
    from .chat import Chat


class Client:
    """Everything that the server does, as methods.

    base_url is where the server is; token an access token or API key, refresh_token what goes with it;
    timeout seconds for one reply, or the next piece of a stream; retries how often 429 and 503 are tried
    again. http, when given, does the talking (it is not closed then). One client is for one thread.
    """

    def __init__(self, base_url: str = "http://127.0.0.1:8000", *, token: str | None = None,
                 refresh_token: str | None = None, timeout: float = 300.0, retries: int = 2,
                 http: httpx.Client | None = None) -> None:
        self.base_url = base_url.rstrip("/")
        self._credentials = Credentials(token, refresh_token)
        self._retries = retries
        self._owns_http = http is None
        self._http = http or httpx.Client(base_url=self.base_url, timeout=httpx.Timeout(timeout, connect=10.0))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        if self._owns_http:
            self._http.close()

    @property
    def token(self) -> str | None:
        """The access token in use."""
        return self._credentials.token

    @property
    def refresh_token(self) -> str | None:
        return self._credentials.refresh_token

    # ------------------------------------------------------------------ requests

    def _send(self, call: Call, stream: bool) -> httpx.Response:
        try:
            response = self._http.send(calls.build(self._http, call, self._credentials), stream=stream)
            if not response.is_success:
                response.read()
                response.close()
        except httpx.TransportError as error:
            raise ConnectionFailed(str(error) or type(error).__name__) from error
        if not response.is_success:
            raise error_of(response)
        return response

    def _request(self, call: Call, stream: bool = False) -> httpx.Response:
        may_refresh = not (call.anonymous or call.final)
        if may_refresh and self._credentials.is_old():
            self._try_refresh()
        tries = 0
        while True:
            try:
                return self._send(call, stream)
            except TarsError as error:
                wait = calls.wait_before(error, tries, self._retries)
                if wait is not None:
                    tries += 1
                    time.sleep(wait)
                elif error.status == 401 and may_refresh and self._credentials.refresh_token:
                    may_refresh = False
                    self.refresh()
                else:
                    raise

    def _json(self, call: Call) -> Any:
        return self._request(call).json()

    def request(self, method: str, path: str, *, body: dict[str, Any] | None = None,
                query: dict[str, Any] | None = None) -> Any:
        """Any request of the interface; gives the JSON of the reply."""
        return self._json(Call(method, path, body=body, query=query or {}))

    # --------------------------------------------------------------------- tokens

    def authenticate(self, client_id: str, secret: str | None = None, *, tenant: str | None = None,
                     device_name: str | None = None, device_type: str | None = "python") -> str:
        """Sign in; gives the access token. In mode open any name will do, without a secret."""
        call = calls.authenticate(client_id, secret, tenant, device_name, device_type)
        return self._credentials.take(cast(models.Tokens, self._json(call)))

    def refresh(self) -> str:
        """Exchange the refresh token for new tokens; requests do this by themselves."""
        if not self._credentials.refresh_token:
            raise AuthenticationError("there is no refresh token", status=401)
        try:
            tokens = cast(models.Tokens, self._json(calls.refresh(self._credentials.refresh_token)))
        except AuthenticationError:
            self._credentials.forget()
            raise
        return self._credentials.take(tokens)

    def _try_refresh(self) -> None:
        try:
            self.refresh()
        except TarsError:
            pass  # the request tells what is wrong

    def sign_out(self) -> None:
        """Revoke the tokens and forget them."""
        try:
            for token in (self._credentials.refresh_token, self._credentials.token):
                if token:
                    self._json(calls.revoke(token))
        except (AuthenticationError, PermissionDenied):
            pass  # they were worth nothing any more
        finally:
            self._credentials.forget()

    def validate(self) -> models.Validation:
        return cast(models.Validation, self._json(calls.validate()))

    def me(self) -> models.Me:
        """Who the token stands for, and what it may do."""
        return cast(models.Me, self._json(calls.get("/auth/me")))

    def auth_health(self) -> dict[str, Any]:
        """What signing in is like: mode is open, secret or oidc."""
        return cast("dict[str, Any]", self._json(calls.get("/auth/health")))

    # ------------------------------------------------------ health, measurements

    def check_health(self) -> models.Health:
        return cast(models.Health, self._json(calls.get("/health")))

    def check_ready(self) -> models.Ready:
        return cast(models.Ready, self._json(calls.get("/ready")))

    def get_system_metrics(self) -> models.SystemMetrics:
        return cast(models.SystemMetrics, self._json(calls.get("/metrics/system")))

    def get_historical_metrics(self, start_time: str | datetime, end_time: str | datetime,
                               interval: int | None = None) -> models.HistoricalMetrics:
        """interval is in seconds, 10 to 3600."""
        return cast(models.HistoricalMetrics, self._json(calls.historical_metrics(start_time, end_time, interval)))

    # ------------------------------------------------------------------ documents

    def rag_health(self) -> models.RagHealth:
        return cast(models.RagHealth, self._json(calls.get("/rag/health")))

    def rag_stats(self) -> models.CollectionStats:
        return cast(models.CollectionStats, self._json(calls.get("/rag/stats")))

    def index_document(self, file_path: str, *, force_reindex: bool = False,
                       collection: str | None = None) -> models.Upload:
        """Take in a file of the server's machine."""
        return cast(models.Upload, self._json(calls.index_document(file_path, force_reindex, collection)))

    def index_batch(self, file_paths: Iterable[str], *, force_reindex: bool = False, max_concurrent: int = 5,
                    collection: str | None = None) -> models.BatchUpload:
        return cast(models.BatchUpload,
                    self._json(calls.index_batch(file_paths, force_reindex, max_concurrent, collection)))

    def upload(self, files: File | Sequence[File], *, collection: str | None = None,
               wait: bool = True) -> models.FileUpload:
        """Send files: paths, or (name, bytes). Without wait, only job_ids come back, at once."""
        return cast(models.FileUpload, self._json(calls.upload(files, collection, wait)))

    def delete_document(self, document_id: str) -> models.Forgotten:
        return cast(models.Forgotten, self._json(calls.delete_document(document_id)))

    def list_documents(self, limit: int | None = None, offset: int | None = None) -> models.Documents:
        return cast(models.Documents, self._json(calls.get("/rag/documents", limit=limit, offset=offset)))

    # ------------------------------------------------------------------ questions

    def rag_query(self, query: str, *, top_k: int | None = None, relevance_threshold: float | None = None,
                  include_sources: bool | None = None, rerank: bool | None = None,
                  filters: dict[str, Any] | None = None, conversation_id: str | None = None,
                  collection: str | None = None) -> models.Answer:
        call = calls.question("/rag/query", query, top_k, relevance_threshold, include_sources, rerank, filters,
                              conversation_id, collection)
        return cast(models.Answer, self._json(call))

    def stream_query(self, query: str, *, top_k: int | None = None, relevance_threshold: float | None = None,
                     include_sources: bool | None = None, rerank: bool | None = None,
                     filters: dict[str, Any] | None = None, conversation_id: str | None = None,
                     collection: str | None = None) -> Iterator[models.StreamEvent]:
        """The answer as it is written. Closing the iterator stops the writing."""
        call = calls.question("/rag/query/stream", query, top_k, relevance_threshold, include_sources, rerank,
                              filters, conversation_id, collection)
        response = self._request(call, stream=True)
        try:
            for line in response.iter_lines():
                if line.strip():
                    yield _event(line)
        except httpx.TransportError as error:
            raise StreamFailed(str(error) or type(error).__name__) from error
        finally:
            response.close()

    def search_documents(self, query: str, *, top_k: int | None = None, filters: dict[str, Any] | None = None,
                         relevance_threshold: float | None = None, mode: str | None = None,
                         collection: str | None = None) -> models.SearchResult:
        """mode is hybrid, words or vectors."""
        call = calls.search(query, top_k, filters, relevance_threshold, mode, collection)
        return cast(models.SearchResult, self._json(call))

    # -------------------------------------------------------------- conversations

    def list_conversations(self, limit: int | None = None) -> models.Conversations:
        return cast(models.Conversations, self._json(calls.get("/conversation/list", limit=limit)))

    def get_conversation(self, conversation_id: str) -> models.Conversation:
        return cast(models.Conversation, self._json(calls.conversation("GET", conversation_id)))

    def delete_conversation(self, conversation_id: str) -> models.ConversationDeleted:
        return cast(models.ConversationDeleted, self._json(calls.conversation("DELETE", conversation_id)))

    def save_message(self, conversation_id: str, message: models.Message) -> models.MessageSaved:
        """The first message makes the conversation."""
        return cast(models.MessageSaved, self._json(calls.save_message(conversation_id, message)))

    @contextmanager
    def chat(self) -> Iterator[Chat]:
        """The chat over a WebSocket, with this client's token; needs the extra `chat`."""
        from .chat import Chat, connect

        with connect(self.base_url, self._credentials.token or "") as socket:
            yield Chat(socket)


def _event(line: str) -> models.StreamEvent:
    event = cast(models.StreamEvent, json.loads(line))
    if event["type"] == "error":
        raise StreamFailed(event["error"], status=200, detail=event["error"])
    return event

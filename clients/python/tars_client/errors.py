"""What the server refuses or cannot do, as exceptions."""

from __future__ import annotations

from typing import Any

import httpx


class TarsError(Exception):
    """Base of all of them.

    status is the HTTP status, 0 without a reply; detail the reply's detail (words, or the list of problems
    of a 422); request_id what the server's log calls the request; retry_after seconds to wait, if it said so.
    """

    def __init__(self, message: str, *, status: int = 0, detail: Any = None, request_id: str | None = None,
                 retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.detail = detail
        self.request_id = request_id
        self.retry_after = retry_after


class ConnectionFailed(TarsError):
    """The server does not answer."""


class AuthenticationError(TarsError):
    """401: the credentials are not valid, or revoked."""


class PermissionDenied(TarsError):
    """403: no credentials, or too little right."""


class NotFound(TarsError):
    """404: there is no such thing, or no right to see it."""


class InvalidRequest(TarsError):
    """422: detail is the list of problems."""


class RateLimited(TarsError):
    """429: too many requests."""


class ServerError(TarsError):
    """5xx."""


class Unavailable(ServerError):
    """503: a part is away or busy."""


class StreamFailed(TarsError):
    """An answer broke off while it was written."""


_BY_STATUS: dict[int, type[TarsError]] = {
    401: AuthenticationError, 403: PermissionDenied, 404: NotFound, 422: InvalidRequest, 429: RateLimited,
    503: Unavailable,
}


def _words(body: dict[str, Any], status: int) -> str:
    detail = body.get("detail")
    if isinstance(detail, list):
        places = ((".".join(str(part) for part in problem.get("loc", [])[1:]), problem.get("msg", ""))
                  for problem in detail)
        return "; ".join(f"{place}: {message}" if place else str(message) for place, message in places)
    return str(detail or body.get("message") or body.get("error") or f"status {status}")


def _seconds(response: httpx.Response, body: dict[str, Any]) -> float | None:
    given = response.headers.get("retry-after", body.get("retry_after"))
    try:
        return None if given is None else max(0.0, float(given))
    except (TypeError, ValueError):
        return None


def error_of(response: httpx.Response) -> TarsError:
    """The exception for a reply that is no success; its body has been read."""
    try:
        body = response.json()
    except ValueError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    kind = _BY_STATUS.get(response.status_code, ServerError if response.status_code >= 500 else TarsError)
    return kind(_words(body, response.status_code), status=response.status_code, detail=body.get("detail"),
                request_id=body.get("request_id") or response.headers.get("x-request-id"),
                retry_after=_seconds(response, body))

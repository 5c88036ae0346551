"""The client of T.A.R.S. for Python: typed, synchronous and asynchronous, streaming."""

from .aio import AsyncClient
from .client import Client
from .errors import (
    AuthenticationError,
    ConnectionFailed,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    RateLimited,
    ServerError,
    StreamFailed,
    TarsError,
    Unavailable,
)

#: Version of the interface that this client was written for.
API_VERSION = "1"

__all__ = [
    "API_VERSION",
    "AsyncClient",
    "AuthenticationError",
    "Client",
    "ConnectionFailed",
    "InvalidRequest",
    "NotFound",
    "PermissionDenied",
    "RateLimited",
    "ServerError",
    "StreamFailed",
    "TarsError",
    "Unavailable",
]

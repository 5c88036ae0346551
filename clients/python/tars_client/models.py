"""Shapes of what goes over the wire; the server may send more fields than are named here."""

from __future__ import annotations

from typing import Any, Literal, TypedDict


class Tokens(TypedDict):
    access_token: str
    refresh_token: str
    token_type: str
    expires_in: int


class Validation(TypedDict):
    valid: bool
    client_id: str | None
    expires_at: str | None


class Me(TypedDict):
    client_id: str
    tenant: str
    role: str
    collections: list[dict[str, Any]]


class Health(TypedDict):
    status: str
    service: str
    version: str
    timestamp: str


class Ready(Health):
    uptime_seconds: int
    checks: dict[str, str]
    degraded: list[str]


class CollectionStats(TypedDict):
    collection_name: str
    total_documents: int
    total_chunks: int
    total_size_mb: float
    last_updated: str
    embedding_dimension: int
    document_count: int
    chunk_count: int
    total_size: int


class RagHealth(TypedDict):
    status: str
    chromadb_status: str
    embedding_model_status: str
    collections: dict[str, CollectionStats]
    total_documents: int
    total_chunks: int
    timestamp: str


class Source(TypedDict):
    document_id: str
    chunk_id: str
    file_name: str
    file_path: str
    chunk_index: int
    similarity_score: float
    excerpt: str
    page_number: int | None
    metadata: dict[str, Any]


class Citation(TypedDict):
    start: int
    end: int
    text: str
    supported: bool
    verdict: str
    sources: list[int]


class Answer(TypedDict):
    query: str
    answer: str
    sources: list[Source]
    context_used: str
    total_tokens: int
    retrieval_time_ms: float
    generation_time_ms: float
    total_time_ms: float
    model: str
    relevance_scores: list[float]
    cached: bool
    conversation_id: str
    citations: list[Citation]


class StreamEvent(TypedDict, total=False):
    """`rag_sources`, `rag_token`s, `rag_complete`: type says which of the fields are there."""

    type: Literal["rag_sources", "rag_token", "rag_complete", "error"]
    conversation_id: str | None
    timestamp: str
    token: str
    has_sources: bool
    sources: list[Source]
    sources_count: int
    total_tokens: int
    retrieval_time_ms: float
    generation_time_ms: float
    total_time_ms: float
    model: str
    citations: list[Citation]
    error: str


class Chunk(TypedDict):
    chunk_id: str
    document_id: str
    content: str
    chunk_index: int
    token_count: int
    metadata: dict[str, Any]
    similarity_score: float


class SearchResult(TypedDict):
    query: str
    results: list[Chunk]
    total_results: int
    search_time_ms: float


class Upload(TypedDict):
    document_id: str
    file_name: str
    status: Literal["success", "already_indexed", "failed"]
    chunks_created: int
    processing_time_ms: float
    message: str | None


class BatchUpload(TypedDict):
    total_files: int
    successful: int
    failed: int
    already_indexed: int
    total_chunks: int
    processing_time_ms: float
    results: list[Upload]


class FileUpload(TypedDict, total=False):
    results: list[Upload]
    job_ids: list[int]


class Forgotten(TypedDict):
    document_id: str
    status: Literal["success", "not_found"]
    chunks_deleted: int
    message: str


class Documents(TypedDict):
    documents: list[dict[str, Any]]
    total: int


class Message(TypedDict, total=False):
    id: str
    role: str
    content: str
    timestamp: str
    sources: list[dict[str, Any]] | None
    metadata: dict[str, Any] | None


class Conversation(TypedDict):
    id: str
    client_id: str
    messages: list[Message]
    created_at: str
    updated_at: str
    title: str | None
    metadata: dict[str, Any] | None


class Conversations(TypedDict):
    conversations: list[Conversation]
    total: int
    limit: int


class MessageSaved(TypedDict):
    success: bool
    message_id: str
    conversation_id: str


class ConversationDeleted(TypedDict):
    success: bool
    conversation_id: str


class SystemMetrics(TypedDict):
    cpu_percent: float
    memory_percent: float
    memory_used_mb: float
    memory_total_mb: float
    documents_indexed: int
    chunks_stored: int
    queries_processed: int
    average_retrieval_time_ms: float
    timestamp: str


class HistoricalMetrics(TypedDict):
    metrics: list[dict[str, Any]]
    start_time: str
    end_time: str
    interval: int


class ChatMessage(TypedDict, total=False):
    """A message of the server over the WebSocket; type says which fields are there."""

    type: str
    timestamp: str
    client_id: str
    session_id: str
    conversation_id: str | None
    token: str
    has_sources: bool
    sources: list[Source]
    sources_count: int
    total_tokens: int
    latency_ms: float
    retrieval_time_ms: float
    generation_time_ms: float
    total_time_ms: float
    error: str
    code: str | None
    message: str
    level: str

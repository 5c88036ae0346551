/* tars - the client of T.A.R.S. for JavaScript: one module, nothing else needed, for browsers and Node 20.
 *
 *     import { TarsClient, TarsSocket } from "./tars.js";
 *
 *     const tars = new TarsClient({ baseUrl: "http://127.0.0.1:8000" });
 *     await tars.authenticate("desk-1");
 *     const answer = await tars.ragQuery("How many days of annual leave?");
 *     for await (const event of tars.streamQuery("And of sick leave?")) console.log(event.type);
 *
 * Names     camelCase here, snake_case on the wire; names that are data (of fields, collections, words)
 *           are left alone.
 * Tokens    Kept in storage (localStorage where there is one) as tars_auth_token, tars_client_id and
 *           tars_refresh_token. A token that is about to expire, or is refused, is refreshed once, by
 *           itself; requests that come meanwhile wait for it.
 * Failures  TarsError, with status, detail and requestId. 429 and 503 are tried again after the time
 *           that the server names, at most `retries` times.
 */

/** Version of the interface that this client was written for. */
export const API_VERSION = "1";

const KEY_TOKEN = "tars_auth_token";
const KEY_CLIENT = "tars_client_id";
const KEY_REFRESH = "tars_refresh_token";
const EARLY_MS = 30000; // refresh a token that expires sooner
const WAIT_MAX_MS = 30000; // between two tries of a request

/* ---------------------------------------------------------------------- names */

const NAMED_BY_DATA = new Set(["collections", "sessions", "top_words", "topWords", "queries_by_hour", "queriesByHour"]);
const DATA = new Set(["filters", "fields"]);

const camel = (name) => name.replace(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase());
const snake = (name) => name.replace(/[A-Z]/g, (letter) => "_" + letter.toLowerCase());

function convert(value, rename, keep = false) {
  if (Array.isArray(value)) return value.map((item) => convert(item, rename));
  if (value === null || typeof value !== "object") return value;
  const made = {};
  for (const [name, item] of Object.entries(value)) {
    made[keep ? name : rename(name)] = DATA.has(name) ? item : convert(item, rename, NAMED_BY_DATA.has(name));
  }
  return made;
}

/** A value of the wire with names in camelCase. */
export const fromWire = (value) => convert(value, camel);
/** A value with names in snake_case, for the wire. */
export const toWire = (value) => convert(value, snake);

/* --------------------------------------------------------------------- errors */

/** What the server refused, or could not do. */
export class TarsError extends Error {
  /**
   * @param {string} message
   * @param {{status?: number, detail?: unknown, requestId?: string, retryAfter?: number}} [facts]
   */
  constructor(message, facts = {}) {
    super(message);
    this.name = "TarsError";
    /** HTTP status; 0 when there was no reply. */
    this.status = facts.status ?? 0;
    /** The reply's detail: words, or the list of problems of a 422. */
    this.detail = facts.detail;
    /** What the server's log calls the request. */
    this.requestId = facts.requestId;
    /** Seconds to wait, when the server said so. */
    this.retryAfter = facts.retryAfter;
  }
}

function wordsOf(body, status) {
  if (Array.isArray(body?.detail)) {
    return body.detail.map((p) => `${(p.loc ?? []).slice(1).join(".")}: ${p.msg}`.replace(/^: /, "")).join("; ");
  }
  return body?.detail || body?.message || body?.error || `status ${status}`;
}

async function errorOf(response) {
  const text = await response.text().catch(() => "");
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    body = undefined;
  }
  const after = Number(response.headers.get("retry-after"));
  return new TarsError(wordsOf(body, response.status), {
    status: response.status,
    detail: body?.detail,
    requestId: body?.request_id ?? response.headers.get("x-request-id") ?? undefined,
    retryAfter: Number.isFinite(after) && after > 0 ? after : body?.retry_after,
  });
}

/* -------------------------------------------------------------------- helpers */

function memoryStorage() {
  const kept = new Map();
  return {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => void kept.set(key, String(value)),
    removeItem: (key) => void kept.delete(key),
  };
}

function defaultStorage() {
  try {
    if (globalThis.window && globalThis.localStorage) return globalThis.localStorage;
  } catch {
    // a page may be denied it
  }
  return memoryStorage();
}

function expiryOf(token) {
  try {
    const payload = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
    return JSON.parse(atob(payload)).exp * 1000;
  } catch {
    return Infinity; // an API key, or a token of another kind
  }
}

function sleep(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}

function queryText(parameters) {
  const text = new URLSearchParams(
    Object.entries(toWire(parameters ?? {})).filter(([, value]) => value !== undefined && value !== null)).toString();
  return text ? "?" + text : "";
}

/* NDJSON: a line an object, names in camelCase. */
async function* readLines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      const lines = (rest + (value ?? "")).split("\n");
      rest = done ? "" : lines.pop();
      for (const line of lines) {
        if (line.trim()) yield fromWire(JSON.parse(line));
      }
      if (done) return;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/* --------------------------------------------------------------------- client */

/**
 * @typedef {object} Source
 * @property {string} documentId
 * @property {string} chunkId
 * @property {string} fileName
 * @property {string} filePath
 * @property {number} chunkIndex
 * @property {number} similarityScore
 * @property {string} excerpt
 * @property {number|null} pageNumber
 * @property {object} [metadata]
 *
 * @typedef {object} Answer
 * @property {string} query
 * @property {string} answer
 * @property {Source[]} sources
 * @property {string} contextUsed
 * @property {number} totalTokens
 * @property {number} retrievalTimeMs
 * @property {number} generationTimeMs
 * @property {number} totalTimeMs
 * @property {string} model
 * @property {number[]} relevanceScores
 *
 * @typedef {object} QueryOptions
 * @property {number} [topK] 1 to 20
 * @property {number} [relevanceThreshold] 0 to 1
 * @property {boolean} [includeSources]
 * @property {boolean} [rerank]
 * @property {object} [filters]
 * @property {string} [conversationId]
 * @property {string} [collection]
 * @property {AbortSignal} [signal]
 *
 * @typedef {object} StreamEvent
 * @property {"rag_sources"|"rag_token"|"rag_complete"} type
 * @property {string} [token]
 * @property {Source[]} [sources]
 *
 * @typedef {object} Message
 * @property {string} id
 * @property {string} role
 * @property {string} content
 * @property {string} timestamp
 * @property {object[]|null} [sources]
 * @property {object|null} [metadata]
 *
 * @typedef {object} Conversation
 * @property {string} id
 * @property {string} clientId
 * @property {Message[]} messages
 * @property {string} createdAt
 * @property {string} updatedAt
 * @property {string|null} title
 *
 * @typedef {object} UploadResult
 * @property {string} documentId
 * @property {string} fileName
 * @property {"success"|"already_indexed"|"failed"} status
 * @property {number} chunksCreated
 * @property {number} processingTimeMs
 * @property {string|null} message
 */

export class TarsClient {
  /**
   * @param {object} [options]
   * @param {string} [options.baseUrl] where the server is; "" in a page that it serves itself
   * @param {string} [options.token] an access token or API key
   * @param {string} [options.refreshToken]
   * @param {{getItem: Function, setItem: Function, removeItem: Function}} [options.storage]
   * @param {typeof fetch} [options.fetch]
   * @param {number} [options.retries] tries again after 429 and 503; 2 unless told otherwise
   * @param {() => void} [options.onSignedOut] called when the server takes no token of ours any more
   */
  constructor(options = {}) {
    this.baseUrl = (options.baseUrl ?? "").replace(/\/+$/, "");
    this.storage = options.storage ?? defaultStorage();
    this.retries = options.retries ?? 2;
    this.onSignedOut = options.onSignedOut ?? (() => {});
    this._fetch = options.fetch ?? ((...rest) => globalThis.fetch(...rest));
    this._refreshing = null;
    if (options.token) this.setTokens(options.token, options.refreshToken);
  }

  /* ---- tokens */

  /** @returns {string|null} the access token in use */
  get token() {
    return this.storage.getItem(KEY_TOKEN);
  }

  /** @returns {string|null} the name under which tokens were asked for */
  get clientId() {
    return this.storage.getItem(KEY_CLIENT);
  }

  /**
   * Use these from now on, as after signing in elsewhere.
   * @param {string} token
   * @param {string} [refreshToken]
   */
  setTokens(token, refreshToken) {
    this.storage.setItem(KEY_TOKEN, token);
    if (refreshToken) this.storage.setItem(KEY_REFRESH, refreshToken);
    else this.storage.removeItem(KEY_REFRESH);
  }

  _forget() {
    this.storage.removeItem(KEY_TOKEN);
    this.storage.removeItem(KEY_REFRESH);
  }

  /**
   * Sign in. In mode open any name will do; in the others a secret or password goes with it.
   * @param {string} clientId
   * @param {{secret?: string, tenant?: string, deviceName?: string, deviceType?: string}} [options]
   * @returns {Promise<string>} the access token
   */
  async authenticate(clientId, options = {}) {
    const { secret, ...rest } = options;
    const body = { clientId, ...rest, ...(secret === undefined ? {} : { clientSecret: secret }) };
    const tokens = await this._json("POST", "/auth/token", { body, anonymous: true });
    this.storage.setItem(KEY_CLIENT, clientId);
    this.setTokens(tokens.accessToken, tokens.refreshToken);
    return tokens.accessToken;
  }

  /**
   * Exchange the refresh token for new tokens. Requests do this by themselves.
   * @returns {Promise<string>} the new access token
   */
  refresh() {
    this._refreshing ??= this._refresh().finally(() => {
      this._refreshing = null;
    });
    return this._refreshing;
  }

  async _refresh() {
    const refreshToken = this.storage.getItem(KEY_REFRESH);
    if (!refreshToken) throw new TarsError("there is no refresh token", { status: 401 });
    try {
      const tokens = await this._json("POST", "/auth/refresh", { body: { refreshToken }, anonymous: true });
      this.setTokens(tokens.accessToken, tokens.refreshToken);
      return tokens.accessToken;
    } catch (error) {
      if (error.status === 401) {
        // Another page of ours may have been faster.
        const other = this.storage.getItem(KEY_REFRESH);
        if (other && other !== refreshToken) return this.token;
        this._forget();
        this.onSignedOut();
      }
      throw error;
    }
  }

  /**
   * Take the tokens that a sign-in with the organisation's provider has left for this browser: after
   * /auth/oidc/login the page comes back with `#signed-in` at the end of its address.
   * @returns {Promise<string>} the access token
   */
  async redeem() {
    const tokens = await this._json("POST", "/auth/oidc/token", { anonymous: true });
    this.setTokens(tokens.accessToken, tokens.refreshToken);
    const { clientId } = await this.validate();
    if (clientId) this.storage.setItem(KEY_CLIENT, clientId);
    return tokens.accessToken;
  }

  /** Revoke the tokens and forget them. @returns {Promise<void>} */
  async signOut() {
    const tokens = [this.storage.getItem(KEY_REFRESH), this.token].filter(Boolean);
    try {
      for (const token of tokens) await this._json("POST", "/auth/revoke", { body: { token }, final: true });
    } catch (error) {
      if (error.status !== 401 && error.status !== 403) throw error;
    } finally {
      this._forget();
    }
  }

  /** @returns {Promise<{valid: boolean, clientId: string|null, expiresAt: string|null}>} */
  validate() {
    return this._json("POST", "/auth/validate", { final: true });
  }

  /**
   * Who the token stands for, and what it may do.
   * @returns {Promise<{clientId: string, tenant: string, role: string, collections: Array<{name: string, writes: boolean}>}>}
   */
  me() {
    return this._json("GET", "/auth/me");
  }

  /** What the server's sign-in is like. @returns {Promise<{status: string, mode: string, oidc?: boolean}>} */
  authHealth() {
    return this._json("GET", "/auth/health", { anonymous: true });
  }

  /* ---- requests */

  async _authorise(anonymous) {
    if (anonymous || !this.token) return {};
    if (expiryOf(this.token) - Date.now() < EARLY_MS && this.storage.getItem(KEY_REFRESH)) {
      await this.refresh().catch(() => {});
    }
    return this.token ? { authorization: "Bearer " + this.token } : {};
  }

  /**
   * Any request of the interface: credentials, refreshing, trying again.
   * @param {string} method
   * @param {string} path
   * @param {{body?: object, form?: FormData, query?: object, signal?: AbortSignal, anonymous?: boolean, final?: boolean}} [options]
   * @returns {Promise<Response>}
   */
  async request(method, path, options = {}) {
    let refreshed = Boolean(options.anonymous || options.final);
    for (let tries = 0; ; ) {
      const headers = await this._authorise(options.anonymous);
      if (options.body) headers["content-type"] = "application/json";
      const response = await this._fetch(this.baseUrl + path + queryText(options.query), {
        method,
        headers,
        signal: options.signal,
        body: options.form ?? (options.body && JSON.stringify(toWire(options.body))),
      });
      if (response.ok) return response;
      const error = await errorOf(response);
      if (error.status === 401 && !refreshed && this.storage.getItem(KEY_REFRESH)) {
        refreshed = true;
        await this.refresh();
      } else if ((error.status === 429 || error.status === 503) && tries < this.retries) {
        const wait = error.retryAfter === undefined ? 500 * 2 ** tries : error.retryAfter * 1000;
        if (wait > WAIT_MAX_MS) throw error;
        tries++;
        await sleep(wait, options.signal);
      } else {
        throw error;
      }
    }
  }

  async _json(method, path, options) {
    const response = await this.request(method, path, options);
    return fromWire(await response.json());
  }

  /* ---- health and measurements */

  /** @returns {Promise<{status: string, service: string, version: string, timestamp: string}>} */
  checkHealth() {
    return this._json("GET", "/health");
  }

  /** @returns {Promise<object>} */
  checkReady() {
    return this._json("GET", "/ready");
  }

  /** @returns {Promise<object>} */
  getSystemMetrics() {
    return this._json("GET", "/metrics/system");
  }

  /**
   * @param {string|Date} startTime
   * @param {string|Date} endTime
   * @param {number} [interval] seconds, 10 to 3600
   * @returns {Promise<object>}
   */
  getHistoricalMetrics(startTime, endTime, interval) {
    const text = (time) => (time instanceof Date ? time.toISOString().replace("Z", "") : time);
    return this._json("GET", "/metrics/historical", {
      query: { startTime: text(startTime), endTime: text(endTime), interval },
    });
  }

  /* ---- documents */

  /** @returns {Promise<object>} */
  ragHealth() {
    return this._json("GET", "/rag/health");
  }

  /** @returns {Promise<{documentCount: number, chunkCount: number, totalSize: number}>} and more */
  ragStats() {
    return this._json("GET", "/rag/stats");
  }

  /**
   * Take in a file of the server's machine.
   * @param {string} filePath
   * @param {{forceReindex?: boolean, collection?: string, signal?: AbortSignal}} [options]
   * @returns {Promise<UploadResult>}
   */
  indexDocument(filePath, { signal, ...rest } = {}) {
    return this._json("POST", "/rag/index", { body: { filePath, ...rest }, signal });
  }

  /**
   * @param {string[]} filePaths
   * @param {{forceReindex?: boolean, maxConcurrent?: number, collection?: string, signal?: AbortSignal}} [options]
   * @returns {Promise<{totalFiles: number, successful: number, failed: number, results: UploadResult[]}>}
   */
  indexBatch(filePaths, { signal, ...rest } = {}) {
    return this._json("POST", "/rag/index/batch", { body: { filePaths, ...rest }, signal });
  }

  /**
   * Send files. onProgress gets 0 to 1: of the bytes sent in a browser, else 0 and 1.
   * @param {Blob|File|Array<Blob|File>} files
   * @param {{collection?: string, wait?: boolean, names?: string[], onProgress?: (part: number) => void, signal?: AbortSignal}} [options]
   * @returns {Promise<{results?: UploadResult[], jobIds: number[]}>}
   */
  async upload(files, options = {}) {
    const list = Array.isArray(files) ? files : [files];
    const form = new FormData();
    list.forEach((file, i) => form.append("file", file, options.names?.[i] ?? file.name ?? `file-${i + 1}`));
    if (options.collection) form.append("collection", options.collection);
    const path = "/rag/upload" + (options.wait === false ? "?wait=false" : "");
    if (options.onProgress && typeof XMLHttpRequest !== "undefined") return this._send(path, form, options);
    options.onProgress?.(0);
    const reply = await this._json("POST", path, { form, signal: options.signal });
    options.onProgress?.(1);
    return reply;
  }

  /* fetch tells nothing of what is sent already. */
  async _send(path, form, options) {
    const headers = await this._authorise(false);
    return new Promise((resolve, reject) => {
      const xhr = new XMLHttpRequest();
      xhr.open("POST", this.baseUrl + path);
      Object.entries(headers).forEach(([name, value]) => xhr.setRequestHeader(name, value));
      xhr.upload.onprogress = (event) => event.lengthComputable && options.onProgress(event.loaded / event.total);
      xhr.onerror = () => reject(new TarsError("the server does not answer"));
      xhr.onabort = () => reject(options.signal?.reason ?? new TarsError("stopped"));
      xhr.onload = async () => {
        const response = new Response(xhr.responseText, { status: xhr.status });
        if (xhr.status >= 200 && xhr.status < 300) resolve(fromWire(await response.json()));
        else reject(await errorOf(response));
      };
      options.signal?.addEventListener("abort", () => xhr.abort(), { once: true });
      xhr.send(form);
    });
  }

  /**
   * @param {string} documentId
   * @returns {Promise<{documentId: string, status: "success"|"not_found", chunksDeleted: number, message: string}>}
   */
  deleteDocument(documentId) {
    return this._json("DELETE", "/rag/document", { body: { documentId } });
  }

  /**
   * @param {{limit?: number, offset?: number}} [options]
   * @returns {Promise<{documents: object[], total: number}>}
   */
  listDocuments(options = {}) {
    return this._json("GET", "/rag/documents", { query: options });
  }

  /* ---- questions */

  /**
   * @param {string} query
   * @param {QueryOptions} [options]
   * @returns {Promise<Answer>}
   */
  ragQuery(query, { signal, ...rest } = {}) {
    return this._json("POST", "/rag/query", { body: { query, ...rest }, signal });
  }

  /**
   * The answer as it is written. Leaving the loop stops the writing. A failure on the way is thrown.
   * @param {string} query
   * @param {QueryOptions} [options]
   * @returns {AsyncGenerator<StreamEvent, void, void>}
   */
  async *streamQuery(query, { signal, ...rest } = {}) {
    const response = await this.request("POST", "/rag/query/stream", { body: { query, ...rest }, signal });
    for await (const event of readLines(response.body)) {
      if (event.type === "error") throw new TarsError(event.error, { status: response.status, detail: event.error });
      yield event;
    }
  }

  /**
   * @param {string} query
   * @param {{topK?: number, filters?: object, relevanceThreshold?: number, mode?: string, signal?: AbortSignal}} [options]
   * @returns {Promise<{query: string, results: object[], totalResults: number, searchTimeMs: number}>}
   */
  searchDocuments(query, { signal, ...rest } = {}) {
    return this._json("POST", "/rag/search", { body: { query, ...rest }, signal });
  }

  /* ---- conversations */

  /**
   * @param {number} [limit] 1 to 100
   * @returns {Promise<{conversations: Conversation[], total: number, limit: number}>}
   */
  listConversations(limit) {
    return this._json("GET", "/conversation/list", { query: { limit } });
  }

  /** @param {string} id @returns {Promise<Conversation>} */
  getConversation(id) {
    return this._json("GET", "/conversation/" + encodeURIComponent(id));
  }

  /** @param {string} id @returns {Promise<{success: boolean, conversationId: string}>} */
  deleteConversation(id) {
    return this._json("DELETE", "/conversation/" + encodeURIComponent(id));
  }

  /**
   * @param {string} conversationId
   * @param {Message} message
   * @returns {Promise<{success: boolean, messageId: string, conversationId: string}>}
   */
  saveMessage(conversationId, message) {
    return this._json("POST", "/conversation/message", { body: { conversationId, message } });
  }

  /** A socket to the same server, with this client's token. @returns {TarsSocket} */
  socket(options = {}) {
    const base = this.baseUrl || globalThis.location?.href.replace(/\/[^/]*$/, "") || "";
    return new TarsSocket({ url: base.replace(/^http/, "ws") + "/ws/chat", ...options });
  }
}

/* --------------------------------------------------------------------- socket */

/**
 * The chat over a WebSocket.
 *
 * Events: `connection` with content `connected`, `disconnected` or `reconnecting`; `rag_sources`,
 * `rag_token`, `rag_complete`, `error`, `system`, and whatever else the server sends; `*` gets them all.
 * Plain chat's `token` and `complete` come as `rag_token` and `rag_complete` too, so that one handler
 * serves both. After a lost connection it connects again, waiting longer each time.
 */
export class TarsSocket {
  /**
   * @param {object} [options]
   * @param {string} [options.url] ws://... of /ws/chat
   * @param {typeof WebSocket} [options.WebSocket] where the platform has none
   * @param {number} [options.minWaitMs]
   * @param {number} [options.maxWaitMs]
   * @param {number} [options.attempts] failed connections in a row before giving up
   */
  constructor(options = {}) {
    this.url = options.url ?? "ws://127.0.0.1:8000/ws/chat";
    this._WebSocket = options.WebSocket ?? globalThis.WebSocket;
    this._minWait = options.minWaitMs ?? 500;
    this._maxWait = options.maxWaitMs ?? 30000;
    this._attempts = options.attempts ?? 8;
    this._handlers = new Map();
    this._socket = null;
    this._failed = 0;
    this._timer = null;
    /** Of the server, once connected. @type {string|null} */
    this.sessionId = null;
  }

  /**
   * @param {string} token
   * @returns {Promise<void>} resolved when the server has greeted, rejected when it refuses
   */
  connect(token) {
    this.disconnect();
    this._token = token;
    this._failed = 0;
    return new Promise((resolve, reject) => this._open(resolve, reject));
  }

  _open(resolve = () => {}, reject = () => {}) {
    let socket;
    try {
      socket = new this._WebSocket(this.url, ["bearer", this._token]);
    } catch (error) {
      reject(new TarsError(error.message)); // a token that no header can hold
      return;
    }
    this._socket = socket;
    socket.onmessage = (event) => this._receive(socket, event.data, resolve);
    socket.onclose = (event) => this._closed(socket, event, reject);
    /* A close follows, but not in every Node. */
    socket.onerror = () => this._closed(socket, { code: 1006, reason: "" }, reject);
  }

  _receive(socket, text, resolve) {
    if (socket !== this._socket) return;
    const message = fromWire(JSON.parse(text));
    if (message.type === "connection_ack") {
      this._failed = 0;
      this.sessionId = message.sessionId;
      this._emit({ ...message, type: "connection", content: "connected" });
      resolve();
    } else if (message.type === "ping") {
      socket.send(JSON.stringify({ type: "pong", timestamp: new Date().toISOString().replace("Z", "") }));
    }
    this._emit(message);
    if (message.type === "token") this._emit({ ...message, type: "rag_token", hasSources: false });
    if (message.type === "complete") {
      this._emit({ ...message, type: "rag_complete", totalTimeMs: message.latencyMs, sourcesCount: 0 });
    }
  }

  _closed(socket, event, reject) {
    if (socket !== this._socket) return;
    const greeted = this.sessionId !== null;
    this._socket = null;
    this.sessionId = null;
    this._failed++;
    reject(new TarsError(event.reason || "the socket was refused or lost", { status: event.code }));
    const again = (greeted || this._failed > 1) && this._failed <= this._attempts;
    this._emit({ type: "connection", content: again ? "reconnecting" : "disconnected", code: event.code, reason: event.reason });
    if (!again) return;
    const wait = Math.min(this._maxWait, this._minWait * 2 ** (this._failed - 1)) * (0.5 + Math.random() / 2);
    this._timer = setTimeout(() => this._open(), wait);
  }

  /** Close, and stay closed. */
  disconnect() {
    clearTimeout(this._timer);
    const socket = this._socket;
    this._socket = null;
    this.sessionId = null;
    if (socket) {
      socket.close(1000);
      this._emit({ type: "connection", content: "disconnected", code: 1000, reason: "" });
    }
  }

  /**
   * Ask. What is not given takes the server's default.
   * @param {string} content
   * @param {{conversationId?: string, useRag?: boolean, ragTopK?: number, ragThreshold?: number, model?: string, temperature?: number, maxTokens?: number}} [options]
   */
  sendMessage(content, options = {}) {
    if (!this._socket || this.sessionId === null) throw new TarsError("the socket is not connected");
    this._socket.send(JSON.stringify({ type: "chat", content, ...toWire(options) }));
  }

  /** @param {string} type @param {(message: object) => void} handler @returns {() => void} takes it off again */
  on(type, handler) {
    if (!this._handlers.has(type)) this._handlers.set(type, new Set());
    this._handlers.get(type).add(handler);
    return () => this.off(type, handler);
  }

  /** @param {string} type @param {(message: object) => void} [handler] all of that type without one */
  off(type, handler) {
    if (handler) this._handlers.get(type)?.delete(handler);
    else this._handlers.delete(type);
  }

  _emit(message) {
    for (const type of [message.type, "*"]) {
      for (const handler of [...(this._handlers.get(type) ?? [])]) handler(message);
    }
  }
}

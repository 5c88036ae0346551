/* Tests of the client: against the running server that TARS_URL names (the samples are in it, mode is open),
 * and against a fetch and a WebSocket of their own for what a real server cannot be made to do. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { TarsClient, TarsError, TarsSocket, fromWire, toWire } from "../tars.js";

const url = process.env.TARS_URL;
const samples = process.env.TARS_SAMPLES;
const question = "How many days of annual leave do employees get?";

async function signedIn(name = "js-tests") {
  const tars = new TarsClient({ baseUrl: url });
  await tars.authenticate(name, { deviceName: "tests", deviceType: "node" });
  return tars;
}

/* ---------------------------------------------------------------------- names */

test("names become camelCase and back, data's own names stay", () => {
  assert.deepEqual(fromWire({ a_b: [{ c_d_e: 1 }], collections: { my_docs: { total_chunks: 2 } }, fields: { x_y: 1 } }),
    { aB: [{ cDE: 1 }], collections: { my_docs: { totalChunks: 2 } }, fields: { x_y: 1 } });
  assert.deepEqual(toWire({ topK: 3, ragTopK: 1, filters: { pageCount: 1 } }), { top_k: 3, rag_top_k: 1, filters: { pageCount: 1 } });
});

/* --------------------------------------------------------------- a real server */

test("checkHealth, checkReady", async () => {
  const tars = new TarsClient({ baseUrl: url });
  assert.equal((await tars.checkHealth()).status, "healthy");
  assert.equal(typeof (await tars.checkReady()).uptimeSeconds, "number");
});

test("authenticate keeps the token and the name under the contract's keys", async () => {
  const tars = await signedIn("desk-1");
  assert.equal(tars.storage.getItem("tars_auth_token"), tars.token);
  assert.equal(tars.storage.getItem("tars_client_id"), "desk-1");
  const told = await tars.validate();
  assert.deepEqual([told.valid, told.clientId], [true, "desk-1"]);
});

test("refresh gives new tokens, the old refresh token is worth nothing", async () => {
  const tars = await signedIn();
  const [token, old] = [tars.token, tars.storage.getItem("tars_refresh_token")];
  await tars.refresh();
  assert.notEqual(tars.token, token);
  const other = new TarsClient({ baseUrl: url, token, refreshToken: old });
  await assert.rejects(other.refresh(), (error) => error instanceof TarsError && error.status === 401);
  assert.equal(other.token, null);
});

test("a refused token is refreshed by itself, once for all that wait", async () => {
  const tars = await signedIn();
  tars.storage.setItem("tars_auth_token", "damaged");
  const lists = await Promise.all([tars.listDocuments(), tars.listDocuments(), tars.listDocuments()]);
  assert.equal(lists.length, 3);
  assert.notEqual(tars.token, "damaged");
});

test("signOut revokes the tokens", async () => {
  const tars = await signedIn();
  const token = tars.token;
  await tars.signOut();
  assert.equal(tars.token, null);
  const late = new TarsClient({ baseUrl: url, token });
  await assert.rejects(late.listDocuments(), { status: 401 });
});

test("authHealth tells the mode", async () => {
  assert.equal((await new TarsClient({ baseUrl: url }).authHealth()).mode, "open");
});

test("ragStats, ragHealth", async () => {
  const tars = await signedIn();
  const stats = await tars.ragStats();
  assert.ok(stats.documentCount > 0 && stats.chunkCount > 0 && stats.totalSize > 0);
  assert.equal((await tars.ragHealth()).status, "healthy");
});

test("indexDocument, indexBatch", async () => {
  const tars = await signedIn();
  const one = await tars.indexDocument(samples + "/handbook/leave.md");
  assert.match(one.status, /^(success|already_indexed)$/);
  const several = await tars.indexBatch([samples + "/handbook/travel.md", "/nowhere"], { maxConcurrent: 2 });
  assert.deepEqual([several.totalFiles, several.failed], [2, 1]);
});

test("upload, with progress, and deleteDocument", async () => {
  const tars = await signedIn();
  const seen = [];
  const file = new Blob(["The key to the bicycle shed hangs in room 12."]);
  const reply = await tars.upload(file, { names: ["shed.txt"], onProgress: (part) => seen.push(part) });
  assert.deepEqual([reply.results[0].status, seen], ["success", [0, 1]]);
  const found = await tars.searchDocuments("key to the bicycle shed", { topK: 1 });
  assert.equal(found.results[0].documentId, reply.results[0].documentId);
  assert.equal((await tars.deleteDocument(reply.results[0].documentId)).status, "success");
  assert.equal((await tars.deleteDocument(reply.results[0].documentId)).status, "not_found");
});

test("upload without waiting gives jobs", async () => {
  const tars = await signedIn();
  const { jobIds } = await tars.upload([new Blob(["one"]), new Blob(["two"])], { names: ["1.txt", "2.txt"], wait: false });
  assert.equal(jobIds.length, 2);
});

test("ragQuery", async () => {
  const answer = await (await signedIn()).ragQuery(question, { topK: 2, filters: { file_type: "md" } });
  assert.match(answer.answer, /28/);
  assert.equal(answer.sources[0].fileName, "leave.md");
  assert.equal(answer.relevanceScores[0], answer.sources[0].similarityScore);
});

test("streamQuery gives sources, tokens and an end", async () => {
  const types = [];
  let text = "";
  for await (const event of (await signedIn()).streamQuery(question)) {
    types.push(event.type);
    text += event.token ?? "";
  }
  assert.equal(types[0], "rag_sources");
  assert.equal(types.at(-1), "rag_complete");
  assert.match(text, /28/);
});

test("streamQuery can be left, and stopped", async () => {
  const tars = await signedIn();
  for await (const event of tars.streamQuery(question)) {
    assert.equal(event.type, "rag_sources");
    break;
  }
  const controller = new AbortController();
  controller.abort();
  await assert.rejects(tars.streamQuery(question, { signal: controller.signal }).next(), { name: "AbortError" });
});

test("conversations: saveMessage, listConversations, getConversation, deleteConversation", async () => {
  const tars = await signedIn("js-" + Date.now());
  const id = "conv_" + Date.now();
  const message = { id: "msg_1", role: "user", content: "What is RAG?", timestamp: "2026-01-31T12:00:00" };
  assert.equal((await tars.saveMessage(id, message)).messageId, "msg_1");
  const list = await tars.listConversations(10);
  assert.deepEqual([list.total, list.conversations[0].id, list.limit], [1, id, 10]);
  assert.equal((await tars.getConversation(id)).messages[0].content, "What is RAG?");
  assert.equal((await tars.deleteConversation(id)).success, true);
  await assert.rejects(tars.getConversation(id), { status: 404 });
});

test("a follow-up stands in the same conversation", async () => {
  const tars = await signedIn("js-follow-" + Date.now());
  const conversationId = "conv_f_" + Date.now();
  await tars.ragQuery(question, { conversationId });
  await tars.ragQuery("And of sick leave?", { conversationId });
  const { messages } = await tars.getConversation(conversationId);
  assert.deepEqual(messages.map((m) => m.role), ["user", "assistant", "user", "assistant"]);
});

test("socket: a question with sources, over the real server", { timeout: 20000 }, async () => {
  const tars = await signedIn();
  const socket = tars.socket();
  const seen = [];
  const done = new Promise((resolve) => socket.on("rag_complete", resolve));
  socket.on("*", (message) => seen.push(message.type));
  await socket.connect(tars.token);
  socket.sendMessage(question, { useRag: true, conversationId: "conv_s", ragTopK: 2 });
  assert.equal((await done).conversationId, "conv_s");
  assert.deepEqual(seen.slice(0, 3), ["connection", "connection_ack", "rag_sources"]);
  assert.ok(seen.includes("rag_token"));
  socket.disconnect();
  await assert.rejects(tars.socket().connect("not a token"), TarsError);
  await assert.rejects(tars.socket().connect("x.y.z"), TarsError);
});

test("failures are TarsErrors with what the server said", async () => {
  const tars = await signedIn();
  await assert.rejects(tars.ragQuery(" "), (error) => {
    assert.equal(error.status, 422);
    assert.match(error.message, /query cannot be empty/);
    assert.match(error.requestId, /^[0-9a-f]{32}$/);
    return true;
  });
  await assert.rejects(new TarsClient({ baseUrl: url }).listDocuments(), { status: 403, message: "Not authenticated" });
});

/* ------------------------------------------------------------ servers of our own */

const reply = (status, body, headers = {}) => new Response(JSON.stringify(body), { status, headers });

test("429 and 503 are tried again after the time that the server names", async () => {
  const replies = [reply(429, { error: "Rate limit exceeded" }, { "retry-after": "0.01" }), reply(503, {}, { "retry-after": "0.01" }), reply(200, { status: "healthy" })];
  const tars = new TarsClient({ fetch: async () => replies.shift() });
  assert.equal((await tars.checkHealth()).status, "healthy");
});

test("it gives up in the end, and at once when the time is long", async () => {
  let asked = 0;
  const tars = new TarsClient({ retries: 1, fetch: async () => (asked++, reply(429, {}, { "retry-after": "0.01" })) });
  await assert.rejects(tars.checkHealth(), { status: 429 });
  assert.equal(asked, 2);
  const patient = new TarsClient({ fetch: async () => reply(429, {}, { "retry-after": "3600" }) });
  await assert.rejects(patient.checkHealth(), (error) => error.retryAfter === 3600);
});

test("a token about to expire is refreshed before the request", async () => {
  const token = `x.${btoa(JSON.stringify({ exp: Date.now() / 1000 + 5 }))}.x`;
  const paths = [];
  const tars = new TarsClient({
    token, refreshToken: "r",
    fetch: async (path) => {
      paths.push(path);
      return reply(200, path.endsWith("refresh") ? { access_token: "new", refresh_token: "r2" } : {});
    },
  });
  await tars.checkHealth();
  assert.deepEqual([paths, tars.token], [["/auth/refresh", "/health"], "new"]);
});

test("getSystemMetrics and getHistoricalMetrics ask for what the contract says", async () => {
  const asked = [];
  const tars = new TarsClient({ fetch: async (path) => (asked.push(path), reply(200, { cpu_percent: 1 })) });
  assert.equal((await tars.getSystemMetrics()).cpuPercent, 1);
  await tars.getHistoricalMetrics(new Date(0), "2026-01-01T00:00:00", 60);
  assert.deepEqual(asked, ["/metrics/system",
    "/metrics/historical?start_time=1970-01-01T00%3A00%3A00.000&end_time=2026-01-01T00%3A00%3A00&interval=60"]);
});

class FakeSocket {
  static made = [];
  constructor(address, protocols) {
    Object.assign(this, { address, protocols, sent: [] });
    FakeSocket.made.push(this);
  }
  send(text) { this.sent.push(JSON.parse(text)); }
  close(code) { this.closed = code; }
  say(message) { this.onmessage({ data: JSON.stringify(message) }); }
}

const tick = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

test("socket: connection, plain chat's messages, pong, off", async () => {
  FakeSocket.made = [];
  const socket = new TarsSocket({ url: "ws://x/ws/chat", WebSocket: FakeSocket });
  const seen = [];
  const note = (message) => seen.push(message);
  ["connection", "rag_token", "rag_complete", "error"].forEach((type) => socket.on(type, note));
  const connected = socket.connect("jwt");
  const [made] = FakeSocket.made;
  assert.deepEqual(made.protocols, ["bearer", "jwt"]);
  assert.throws(() => socket.sendMessage("too early"), TarsError);
  made.say({ type: "connection_ack", client_id: "a", session_id: "s", timestamp: "t" });
  await connected;
  socket.sendMessage("hi", { useRag: true, ragTopK: 3, conversationId: "c" });
  made.say({ type: "ping", timestamp: "t" });
  assert.deepEqual(made.sent[0], { type: "chat", content: "hi", use_rag: true, rag_top_k: 3, conversation_id: "c" });
  assert.equal(made.sent[1].type, "pong");
  made.say({ type: "token", token: "x", conversation_id: "c", timestamp: "t" });
  made.say({ type: "complete", conversation_id: "c", total_tokens: 1, latency_ms: 9, timestamp: "t" });
  assert.deepEqual(seen.map((m) => m.type), ["connection", "rag_token", "rag_complete"]);
  assert.deepEqual([seen[0].content, seen[1].token, seen[2].totalTimeMs], ["connected", "x", 9]);
  socket.off("error", note);
  made.say({ type: "error", error: "e", timestamp: "t" });
  assert.equal(seen.length, 3);
  socket.disconnect();
  assert.deepEqual([made.closed, seen.at(-1).content], [1000, "disconnected"]);
});

test("socket: a lost connection comes back, a refused one does not", async () => {
  FakeSocket.made = [];
  const socket = new TarsSocket({ url: "ws://x/ws/chat", WebSocket: FakeSocket, minWaitMs: 1, maxWaitMs: 4, attempts: 3 });
  const states = [];
  socket.on("connection", (message) => states.push(message.content));
  const connected = socket.connect("jwt");
  FakeSocket.made[0].say({ type: "connection_ack", client_id: "a", session_id: "s" });
  await connected;
  for (let i = 0; i < 4; i++) {
    FakeSocket.made.at(-1).onclose({ code: 1006, reason: "" });
    await tick(20);
  }
  assert.deepEqual(states, ["connected", "reconnecting", "reconnecting", "reconnecting", "disconnected"]);
  assert.equal(FakeSocket.made.length, 4);
  const refused = socket.connect("bad");
  FakeSocket.made.at(-1).onclose({ code: 1006, reason: "" });
  await assert.rejects(refused, TarsError);
  await tick(20);
  assert.equal(FakeSocket.made.length, 5);
});

/* The page of T.A.R.S.: ask, read the answer as it is written, see what each sentence stands on, add
 * documents. No framework; text from documents only ever becomes text nodes. */
"use strict";

const $ = (id) => document.getElementById(id);
const state = { asking: null, answer: "", sources: [] };

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/* ---------------------------------------------------------------------- status */

function plural(n, word) {
  return n.toLocaleString() + " " + word + (n === 1 ? "" : "s");
}

async function showStatus() {
  const line = $("status");
  try {
    const reply = await fetch("rag/stats");
    if (!reply.ok) throw new Error("status " + reply.status);
    const s = await reply.json();
    const busy = s.jobs.queued + s.jobs.running;
    line.className = "";
    line.textContent = [
      plural(s.total_documents, "document"),
      plural(s.total_chunks, "passage"),
      s.embedding_model ? "search: " + s.embedding_model : "search: words only",
      s.language_model === "extract" ? "answers: quotations" : "answers: " + s.language_model,
      busy ? plural(busy, "file") + " being read" : "",
    ].filter(Boolean).join(" \u00b7 ");
  } catch {
    line.className = "bad";
    line.textContent = "The server does not answer.";
  }
}

/* ---------------------------------------------------------------------- answer */

function placeOf(source) {
  const parts = [];
  if (source.page_number) {
    parts.push(source.page_last > source.page_number
      ? "pages " + source.page_number + "\u2013" + source.page_last : "page " + source.page_number);
  }
  if (source.section) parts.push(source.section);
  parts.push("characters " + source.char_start + "\u2013" + source.char_end);
  return parts.join(" \u00b7 ");
}

function showSources(sources) {
  state.sources = sources;
  const list = $("sources");
  list.replaceChildren();
  $("sources-title").hidden = sources.length === 0;
  sources.forEach((source, i) => {
    const item = element("li");
    item.id = "source-" + (i + 1);
    item.tabIndex = -1;
    const place = element("div", "place");
    place.append(element("span", "number", "[" + (i + 1) + "]"),
      element("span", "file", source.file_name),
      element("span", "where", placeOf(source)),
      element("span", "relevance", Math.round(source.similarity_score * 100) + " % relevant"));
    place.title = source.file_path;
    const details = element("details");
    details.append(element("summary", "", source.excerpt.replace(/\s+/g, " ")),
      element("p", "passage", source.content));
    item.append(place, details);
    list.append(item);
  });
}

function citeLink(number) {
  const link = element("a", "cite", String(number));
  link.href = "#source-" + number;
  link.setAttribute("aria-label", "Source " + number);
  link.addEventListener("click", (event) => {
    event.preventDefault();
    const item = $("source-" + number);
    if (!item) return;
    document.querySelectorAll(".lit").forEach((e) => e.classList.remove("lit"));
    item.classList.add("lit");
    item.querySelector("details").open = true;
    item.scrollIntoView({ block: "nearest" });
    item.focus({ preventScroll: true });
  });
  return link;
}

/* Offsets count characters, not the halves of which JavaScript's strings are made. */
function showCitations(citations) {
  const characters = Array.from(state.answer);
  const box = $("answer");
  let at = 0;
  let flagged = 0;
  box.replaceChildren();
  for (const c of citations) {
    box.append(characters.slice(at, c.start).join(""));
    const text = characters.slice(c.start, c.end).join("");
    const sentence = element("span", c.supported ? "" : "unsupported", text);
    if (!c.supported) {
      flagged++;
      sentence.title = "Not supported by the sources (" + c.verdict + ")";
    }
    box.append(sentence);
    if (c.sources.length && !/\[\d+\]\s*$/.test(text)) c.sources.forEach((n) => box.append(citeLink(n)));
    at = c.end;
  }
  box.append(characters.slice(at).join(""));
  const verdict = $("verdict");
  verdict.hidden = !citations.some((c) => c.sources.length) && flagged === 0;
  verdict.className = flagged ? "verdict bad" : "verdict";
  verdict.textContent = flagged
    ? plural(flagged, "sentence") + " marked: the sources do not support " + (flagged === 1 ? "it." : "them.")
    : "Every statement was found in the sources.";
}

function showComplete(line) {
  showCitations(line.citations || []);
  $("facts").textContent = [
    line.model === "extract" ? "quoted, no language model" : "written by " + line.model,
    "found in " + Math.round(line.retrieval_time_ms) + " ms",
    "written in " + (line.generation_time_ms / 1000).toFixed(1) + " s",
    line.degraded || "",
  ].filter(Boolean).join(" \u00b7 ");
}

function take(line) {
  if (line.type === "rag_sources") {
    showSources(line.sources);
  } else if (line.type === "rag_token") {
    state.answer += line.token;
    $("answer").textContent = state.answer;
  } else if (line.type === "rag_complete") {
    showComplete(line);
  } else if (line.type === "error") {
    throw new Error(line.error);
  }
}

async function readLines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    lines.filter((l) => l.trim()).forEach((l) => take(JSON.parse(l)));
  }
}

function setAsking(controller) {
  state.asking = controller;
  $("send").disabled = controller !== null;
  $("stop").hidden = controller === null;
  $("answer").setAttribute("aria-busy", String(controller !== null));
}

async function words(reply) {
  try {
    const body = await reply.json();
    return Array.isArray(body.detail) ? body.detail[0].msg : body.detail || body.message;
  } catch {
    return "status " + reply.status;
  }
}

async function ask(question) {
  const controller = new AbortController();
  state.answer = "";
  showSources([]);
  $("result").hidden = false;
  $("asked").textContent = question;
  $("answer").textContent = "";
  $("facts").textContent = "";
  $("verdict").hidden = true;
  setAsking(controller);
  try {
    const reply = await fetch("rag/query/stream", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query: question }),
      signal: controller.signal,
    });
    if (!reply.ok) throw new Error(await words(reply));
    await readLines(reply.body);
  } catch (error) {
    $("facts").textContent = controller.signal.aborted ? "Stopped." : "That did not work: " + error.message;
  } finally {
    setAsking(null);
  }
}

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = $("question").value.trim();
  if (question && !state.asking) ask(question);
});
$("question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("ask").requestSubmit();
  }
});
$("stop").addEventListener("click", () => state.asking && state.asking.abort());

/* --------------------------------------------------------------------- uploads */

const outcomes = { success: "added", already_indexed: "was there already", failed: "failed" };

async function upload(file) {
  const item = element("li", "", file.name + ": being read");
  const form = new FormData();
  $("uploads").prepend(item);
  form.append("file", file, file.name);
  try {
    const reply = await fetch("rag/upload", { method: "POST", body: form });
    if (!reply.ok) throw new Error(await words(reply));
    const result = await reply.json();
    item.className = result.status;
    item.textContent = file.name + ": " + (result.message && result.status === "failed"
      ? result.message : outcomes[result.status]
        + (result.chunks_created ? " (" + plural(result.chunks_created, "passage") + ")" : ""));
  } catch (error) {
    item.className = "failed";
    item.textContent = file.name + ": " + error.message;
  }
  showStatus();
}

async function uploadAll(files) {
  for (const file of files) await upload(file);
}

const drop = $("drop");
$("files").addEventListener("change", (event) => {
  const files = Array.from(event.target.files);
  event.target.value = "";
  uploadAll(files);
});
for (const name of ["dragenter", "dragover"]) {
  drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
}
for (const name of ["dragleave", "drop"]) {
  drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.remove("over"); });
}
drop.addEventListener("drop", (event) => uploadAll(Array.from(event.dataTransfer.files)));

showStatus();
setInterval(showStatus, 5000);

/* The page of T.A.R.S.: sign in, ask, read the answer as it is written, follow up, add documents. No
 * framework: the client of clients/js does the talking, answer.js shows what comes. */
import { TarsClient, TarsError } from "./tars.js";
import { element, plural, Turn } from "./answer.js";

const $ = (id) => document.getElementById(id);
const tars = new TarsClient({
  baseUrl: new URL(".", location.href).href,
  onSignedOut: () => showSignIn("You have been signed out."),
});
const state = { mode: "open", asking: null, conversation: null };

/* ---------------------------------------------------------------------- status */

async function showStatus() {
  const line = $("status");
  if ($("work").hidden) return;
  try {
    const s = await tars.ragStats();
    const busy = s.jobs ? s.jobs.queued + s.jobs.running : 0;
    line.className = "";
    line.textContent = [
      plural(s.totalDocuments, "document"),
      plural(s.totalChunks, "passage"),
      s.embeddingModel ? "search: " + s.embeddingModel : "search: words only",
      s.languageModel === "extract" ? "answers: quotations" : "answers: " + s.languageModel,
      busy ? plural(busy, "file") + " being read" : "",
    ].filter(Boolean).join(" \u00b7 ");
  } catch (error) {
    line.className = "bad";
    line.textContent = error.status ? error.message : "The server does not answer.";
  }
}

/* --------------------------------------------------------------------- sign in */

function showSignIn(words) {
  $("work").hidden = $("sign-out").hidden = $("who").hidden = true;
  $("sign-in").hidden = false;
  $("status").className = "";
  $("status").textContent = "Private search and answers from your own documents";
  $("sign-in-error").hidden = !words;
  $("sign-in-error").textContent = words ?? "";
  $("name").value = tars.clientId ?? "";
  $(tars.clientId ? "password" : "name").focus();
}

function showWork() {
  $("sign-in").hidden = true;
  $("work").hidden = false;
  $("sign-out").hidden = $("who").hidden = state.mode === "open";
  $("who").textContent = tars.clientId ?? "";
  startConversation();
  showStatus();
  listConversations();
  listCollections();
  $("question").focus();
}

$("sign-in-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await tars.authenticate($("name").value.trim(), { secret: $("password").value, deviceType: "web" });
    $("password").value = "";
    showWork();
  } catch (error) {
    showSignIn(error.status === 401 || error.status === 403 ? "Name or password is not right." : error.message);
  }
});

$("sign-out").addEventListener("click", async () => {
  try {
    await tars.signOut();
    showSignIn();
  } catch (error) {
    showSignIn(error.message);
  }
});

/* The provider sends the browser back with a ticket in a cookie, which no script can read. */
async function takeTicket() {
  if (location.hash !== "#signed-in") return;
  history.replaceState(null, "", location.pathname);
  await tars.redeem().catch((error) => error.status === 401 || Promise.reject(error));
}

async function tokenWorks() {
  if (!tars.token) return false;
  const told = await tars.validate().catch(() => ({ valid: false }));
  if (told.valid) return true;
  return tars.refresh().then(() => true, () => false);
}

async function begin() {
  const told = await tars.authHealth().catch((error) => (error.status ? {} : Promise.reject(error)));
  state.mode = told.mode ?? "open";
  $("oidc").hidden = !told.oidc;
  await takeTicket();
  if (await tokenWorks()) {
    showWork();
  } else if (state.mode !== "open") {
    showSignIn();
  } else {
    const name = tars.clientId || "web-" + crypto.getRandomValues(new Uint32Array(2)).join("-");
    /* Without a token the page still asks, it only keeps nothing. */
    await tars.authenticate(name, { deviceType: "web" }).catch(() => {});
    showWork();
  }
}

/* --------------------------------------------------------------- conversations */

function startConversation() {
  state.asking?.abort();
  state.conversation = null;
  $("turns").replaceChildren();
  markConversation();
}

function markConversation() {
  for (const item of $("conversations").children) {
    if (item.dataset.id === state.conversation) item.setAttribute("aria-current", "true");
    else item.removeAttribute("aria-current");
  }
}

function conversationItem(conversation) {
  const item = element("li");
  const open = element("button", "plain open", conversation.title || "Untitled");
  const remove = element("button", "plain remove", "\u00d7");
  open.type = remove.type = "button";
  remove.setAttribute("aria-label", "Delete " + (conversation.title || "Untitled"));
  item.dataset.id = conversation.id;
  open.addEventListener("click", () => openConversation(conversation.id));
  remove.addEventListener("click", async () => {
    await tars.deleteConversation(conversation.id).catch(() => {});
    if (state.conversation === conversation.id) startConversation();
    listConversations();
  });
  item.append(open, remove);
  return item;
}

async function listConversations() {
  try {
    const { conversations } = await tars.listConversations(50);
    $("conversations").replaceChildren(...conversations.map(conversationItem));
    $("no-conversations").hidden = conversations.length > 0;
    markConversation();
  } catch {
    $("conversations").replaceChildren();
  }
}

async function openConversation(id) {
  try {
    const conversation = await tars.getConversation(id);
    let turn = null;
    startConversation();
    state.conversation = id;
    for (const message of conversation.messages) {
      if (message.role === "user") {
        turn = new Turn(message.content);
        $("turns").append(turn.root);
      } else if (turn) {
        turn.add(message.content);
        turn.showSources(message.sources ?? []);
        turn.complete({ ...message.metadata, citations: message.metadata?.citations });
      }
    }
    markConversation();
    turn?.root.scrollIntoView({ block: "nearest" });
  } catch (error) {
    $("status").textContent = error.message;
  }
}

$("new").addEventListener("click", () => {
  startConversation();
  $("question").focus();
});

/* ---------------------------------------------------------------------- asking */

function setAsking(controller) {
  state.asking = controller;
  $("send").disabled = controller !== null;
  $("stop").hidden = controller === null;
}

function take(turn, event) {
  if (event.type === "rag_sources") turn.showSources(event.sources);
  else if (event.type === "rag_token") turn.add(event.token);
  else if (event.type === "rag_complete") turn.complete(event);
}

async function ask(question) {
  const controller = new AbortController();
  const turn = new Turn(question);
  $("turns").append(turn.root);
  turn.setBusy(true);
  setAsking(controller);
  turn.root.scrollIntoView({ block: "nearest" });
  try {
    state.conversation ??= "conv_" + Date.now();
    const options = { signal: controller.signal, conversationId: state.conversation };
    for await (const event of tars.streamQuery(question, options)) take(turn, event);
    listConversations();
  } catch (error) {
    turn.say(controller.signal.aborted ? "Stopped." : "That did not work: " + error.message);
  } finally {
    turn.setBusy(false);
    if (state.asking === controller) setAsking(null);
  }
}

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = $("question").value.trim();
  if (!question || state.asking) return;
  $("question").value = "";
  ask(question);
});
$("question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("ask").requestSubmit();
  }
});
$("stop").addEventListener("click", () => state.asking?.abort());

/* --------------------------------------------------------------------- uploads */

const outcomes = { success: "added", already_indexed: "was there already", failed: "failed" };

/* Where the signed-in may put documents. */
async function listCollections() {
  const { collections } = await tars.me().catch(() => ({ collections: [] }));
  $("collections").replaceChildren(...collections.filter((c) => c.writes).map((collection) => {
    const option = element("option");
    option.value = collection.name;
    return option;
  }));
}

async function upload(file) {
  const item = element("li", "", file.name + ": being sent");
  $("uploads").prepend(item);
  try {
    const result = await tars.upload(file, {
      collection: $("collection").value.trim() || undefined,
      onProgress: (part) => {
        item.textContent = file.name + (part < 1 ? ": " + Math.round(part * 100) + " % sent" : ": being read");
      },
    });
    item.className = result.status;
    item.textContent = file.name + ": " + (result.message && result.status === "failed"
      ? result.message : outcomes[result.status]
        + (result.chunksCreated ? " (" + plural(result.chunksCreated, "passage") + ")" : ""));
  } catch (error) {
    item.className = "failed";
    item.textContent = file.name + ": " + (error instanceof TarsError ? error.message : "the server does not answer");
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

begin().catch(() => {
  $("status").className = "bad";
  $("status").textContent = "The server does not answer.";
});
setInterval(() => document.hidden || showStatus(), 5000);

/* The description of the API for people: what /openapi.json says, by tag, and a form to try each
 * operation. Text of the description only ever becomes text nodes. */
import { element } from "./answer.js";

const $ = (id) => document.getElementById(id);
const BASE = new URL(".", location.href).href.replace(/\/$/, "");
const NEEDS = {
  public: "anybody", ask: "anybody in mode open, else readers", reader: "readers", writer: "writers",
  admin: "admins", system: "admins of the system",
};
let api;

const nameOf = (ref) => ref.slice(ref.lastIndexOf("/") + 1);

function resolve(value) {
  if (!value?.$ref) return value;
  return value.$ref.slice(2).split("/").reduce((at, key) => at?.[key], api);
}

/* `code` and plain text, in paragraphs. */
function prose(text, parent) {
  for (const block of (text ?? "").split("\n\n")) {
    const p = element("p");
    block.split("`").forEach((part, i) => p.append(i % 2 ? element("code", "", part) : part));
    parent.append(p);
  }
}

function inline(text) {
  const span = element("span");
  (text ?? "").split("`").forEach((part, i) => span.append(i % 2 ? element("code", "", part) : part));
  return span;
}

/* --------------------------------------------------------------------- schemas */

function bounds(s) {
  const said = [];
  if (s.minimum !== undefined) said.push("\u2265 " + s.minimum);
  if (s.maximum !== undefined) said.push("\u2264 " + s.maximum);
  if (s.maxLength !== undefined) said.push("at most " + s.maxLength + " characters");
  if (s.minItems !== undefined || s.maxItems !== undefined) said.push(`${s.minItems ?? 0} to ${s.maxItems ?? "any number of"} items`);
  if (s.enum) said.push("one of " + s.enum.map((v) => JSON.stringify(v)).join(", "));
  if (s.const !== undefined) said.push("always " + JSON.stringify(s.const));
  if (s.default !== undefined) said.push("default " + JSON.stringify(s.default));
  return said.join(", ");
}

function kindOf(s) {
  if (!s) return "anything";
  if (s.$ref) return nameOf(s.$ref);
  if (s.oneOf || s.anyOf) return [...new Set((s.oneOf ?? s.anyOf).map(kindOf))].join(" or ");
  if (s.type === "array") return "list of " + kindOf(s.items);
  if (s.type === "object" && s.additionalProperties?.$ref) return "object of " + nameOf(s.additionalProperties.$ref);
  if (s.type) return [s.type].flat().join(" or ");
  return s.enum ? "value" : s.const !== undefined ? typeof s.const : "anything";
}

function kindNode(s) {
  const names = new Set();
  const span = element("span", "kind", kindOf(s));
  JSON.stringify(s ?? {}, (key, value) => {
    if (key === "$ref") names.add(nameOf(value));
    return key === "properties" ? undefined : value;
  });
  for (const name of names) {
    const link = element("a", "", "\u2192 " + name);
    link.href = "#schema-" + name;
    span.append(" ", link);
  }
  return span;
}

function shape(s) {
  const list = element("ul", "shape");
  const object = resolve(s);
  for (const [name, property] of Object.entries(object.properties ?? {})) {
    const item = element("li");
    const label = element("span", "name" + (object.required?.includes(name) ? " required" : ""), name);
    item.append(label, " ", kindNode(property));
    if (bounds(property)) item.append(" ", element("span", "kind", "(" + bounds(property) + ")"));
    if (property.description) item.append(" ", inline(property.description));
    if (property.properties) item.append(shape(property));
    list.append(item);
  }
  if (!list.children.length) list.append(element("li", "kind", [kindOf(object), bounds(object)].filter(Boolean).join(", ")));
  return list;
}

/* A value that fits: an example where there is one, else what the types make likely. */
function sample(s, depth = 0) {
  const known = resolve(s) ?? {};
  if (known.examples?.length) return known.examples[0];
  if (known.const !== undefined) return known.const;
  if (known.default !== undefined) return known.default;
  if (known.enum) return known.enum[0];
  if (depth > 4) return null;
  if (known.oneOf || known.anyOf) return sample((known.oneOf ?? known.anyOf)[0], depth + 1);
  const type = [known.type].flat()[0];
  if (type === "object" || known.properties) {
    const wanted = known.required ?? Object.keys(known.properties ?? {});
    return Object.fromEntries(wanted.map((name) => [name, sample(known.properties?.[name], depth + 1)]));
  }
  if (type === "array") return [sample(known.items, depth + 1)];
  return { integer: known.minimum ?? 0, number: known.minimum ?? 0, boolean: true, string: "text" }[type] ?? null;
}

/* ------------------------------------------------------------------ operations */

function parametersOf(operation) {
  const list = element("ul", "shape");
  for (const parameter of operation.parameters ?? []) {
    const item = element("li");
    item.append(element("span", "name" + (parameter.required ? " required" : ""), parameter.name), " ",
      element("span", "kind", [parameter.in, kindOf(parameter.schema), bounds(parameter.schema)].filter(Boolean).join(", ")),
      " ", inline(parameter.description));
    list.append(item);
  }
  return list;
}

function repliesOf(operation) {
  const list = element("ul", "replies");
  for (const [status, said] of Object.entries(operation.responses)) {
    const reply = resolve(said);
    const [type, media] = Object.entries(reply.content ?? {})[0] ?? [];
    const item = element("li");
    item.append(element("strong", "", status), " ", inline(reply.description), " ");
    if (media) item.append(element("span", "kind", type + " "), kindNode(media["x-tars-line"] ?? media.schema));
    list.append(item);
  }
  return list;
}

function curlOf(method, path, body) {
  const parts = ["curl", method === "get" ? "" : "-X " + method.toUpperCase(), `'${BASE}${path}'`,
    "-H 'Authorization: Bearer TOKEN'"];
  if (body) parts.push("-H 'Content-Type: application/json'", `-d '${JSON.stringify(body)}'`);
  return parts.filter(Boolean).join(" ");
}

/* --------------------------------------------------------------------- to try it */

function labelled(id, label, input) {
  const p = element("p", "field");
  const tag = element("label", "", label);
  tag.htmlFor = input.id = id;
  p.append(tag, input);
  return p;
}

async function show(response, out) {
  const type = response.headers.get("content-type") ?? "";
  out.textContent = response.status + " " + response.statusText + "\n";
  if (type.includes("ndjson") && response.body) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) out.textContent += part.value;
    return;
  }
  const text = await response.text();
  try {
    out.textContent += JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    out.textContent += text;
  }
}

function requestOf(method, path, form) {
  const query = new URLSearchParams();
  const headers = {};
  let url = path;
  let body;
  for (const input of form.querySelectorAll("[data-in]")) {
    if (input.dataset.in === "path") url = url.replace(`{${input.name}}`, encodeURIComponent(input.value));
    else if (input.value) query.set(input.name, input.value);
  }
  const files = form.querySelector("input[type=file]");
  const text = form.querySelector("textarea");
  if (files?.files.length) {
    body = new FormData();
    for (const file of files.files) body.append("file", file, file.name);
  } else if (text) {
    body = text.value;
    headers["content-type"] = "application/json";
  }
  if ($("token").value.trim()) headers.authorization = "Bearer " + $("token").value.trim();
  return [BASE + url + (query.size ? "?" + query : ""), { method: method.toUpperCase(), headers, body }];
}

function tryForm(method, path, operation) {
  const form = element("form", "try");
  const out = element("pre");
  const content = operation.requestBody?.content ?? {};
  const json = content["application/json"];
  for (const parameter of operation.parameters ?? []) {
    const input = element("input");
    input.name = parameter.name;
    input.dataset.in = parameter.in;
    input.required = Boolean(parameter.required);
    input.placeholder = parameter.schema.default ?? "";
    form.append(labelled(`${operation.operationId}-${parameter.name}`, parameter.name, input));
  }
  if (content["multipart/form-data"]) {
    const input = element("input");
    input.type = "file";
    input.multiple = true;
    form.append(labelled(operation.operationId + "-file", "Files", input));
  }
  if (json) {
    const text = element("textarea");
    text.rows = 5;
    text.value = JSON.stringify(sample(json.schema), null, 2);
    text.setAttribute("aria-label", "Body of " + path);
    form.append(text);
  }
  const send = element("button", "", "Send");
  send.type = "submit";
  out.hidden = true;
  out.setAttribute("aria-live", "polite");
  form.append(send, out);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    out.hidden = false;
    out.textContent = "\u2026";
    try {
      await show(await fetch(...requestOf(method, path, form)), out);
    } catch (error) {
      out.textContent = error.message;
    }
  });
  return form;
}

/* -------------------------------------------------------------------- the page */

function fill(inside, method, path, operation) {
  const body = operation.requestBody?.content;
  const json = body?.["application/json"];
  if (operation.parameters) inside.append(element("h4", "", "Parameters"), parametersOf(operation));
  for (const [type, media] of Object.entries(body ?? {})) {
    const title = element("h4", "", "Body ");
    title.append(element("span", "kind", type + " "), kindNode(media.schema));
    inside.append(title, shape(media.schema));
  }
  inside.append(element("h4", "", "Replies"), repliesOf(operation));
  inside.append(element("h4", "", "Example"), element("pre", "", curlOf(method, path, json && sample(json.schema))));
  const good = Object.entries(operation.responses).find(([status]) => status[0] === "2");
  const schema = good && resolve(good[1]).content?.["application/json"]?.schema;
  if (schema) inside.append(element("pre", "", JSON.stringify(sample(schema), null, 2)));
  inside.append(element("h4", "", "Try it"), tryForm(method, path, operation));
}

function operationNode(method, path, operation) {
  const node = element("details", "operation");
  const summary = element("summary");
  const inside = element("div", "inside");
  node.id = operation.operationId;
  summary.append(element("span", "method " + method, method.toUpperCase()), element("span", "path", path),
    element("span", "", operation.summary), element("span", "need", NEEDS[operation["x-tars-need"]] ?? ""));
  node.append(summary, inside);
  node.addEventListener("toggle", () => {
    if (node.open && !inside.children.length) fill(inside, method, path, operation);
  });
  return node;
}

function tagNode(tag, operations) {
  const section = element("section", "tag");
  const item = element("li", "", tag.name);
  const list = element("ul");
  section.append(element("h2", "", tag.name), element("p", "", tag.description));
  for (const [method, path, operation] of operations) {
    const entry = element("li");
    const link = element("a");
    link.href = "#" + operation.operationId;
    link.append(element("span", "method " + method, method.toUpperCase()), element("span", "", path));
    entry.append(link);
    list.append(entry);
    section.append(operationNode(method, path, operation));
  }
  item.append(list);
  $("contents").append(item);
  $("tags").append(section);
}

function schemaNode(name, schema) {
  const node = element("details", "schema");
  const inside = element("div", "inside");
  node.id = "schema-" + name;
  node.append(element("summary", "path", name), inside);
  if (schema.description) prose(schema.description, inside);
  inside.append(shape(schema), element("pre", "", JSON.stringify(schema, null, 2)));
  return node;
}

function openTarget() {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (!target || target.tagName !== "DETAILS") return;
  target.open = true;
  target.scrollIntoView();
}

function find(words) {
  for (const node of document.querySelectorAll(".operation")) {
    node.hidden = !node.firstChild.textContent.toLowerCase().includes(words);
  }
  for (const section of document.querySelectorAll(".tag")) {
    section.hidden = !section.querySelector(".operation:not([hidden])");
  }
}

async function begin() {
  api = await (await fetch(BASE + "/openapi.json")).json();
  $("status").textContent = `version ${api.info.version} \u00b7 ${Object.keys(api.paths).length} paths`;
  prose(api.info.description, $("about"));
  for (const tag of api.tags) {
    const operations = Object.entries(api.paths).flatMap(([path, item]) =>
      Object.entries(item).filter(([, o]) => o.tags.includes(tag.name)).map(([method, o]) => [method, path, o]));
    if (operations.length) tagNode(tag, operations);
  }
  for (const [name, schema] of Object.entries(api.components.schemas)) $("schemas").append(schemaNode(name, schema));
  openTarget();
}

window.addEventListener("hashchange", openTarget);
$("find").addEventListener("input", () => find($("find").value.trim().toLowerCase()));
begin().catch(() => {
  $("status").className = "bad";
  $("status").textContent = "The server does not answer.";
});

/* One question and its answer on the page: text as it is written, sentences with what they stand on,
 * sources with their places. Text from documents only ever becomes text nodes. */

export function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

export function plural(n, word) {
  return n.toLocaleString() + " " + word + (n === 1 ? "" : "s");
}

function placeOf(source) {
  const parts = [];
  if (source.pageNumber) {
    parts.push(source.pageLast > source.pageNumber
      ? "pages " + source.pageNumber + "\u2013" + source.pageLast : "page " + source.pageNumber);
  }
  if (source.section) parts.push(source.section);
  if (source.charEnd) parts.push("characters " + source.charStart + "\u2013" + source.charEnd);
  return parts.join(" \u00b7 ");
}

let turns = 0; // ids of sources are unique in the page

export class Turn {
  constructor(question) {
    this.id = ++turns;
    this.text = "";
    this.root = element("article", "turn");
    this.root.append(element("h2", "asked", question));
    this.answer = element("div", "answer");
    this.verdict = element("p", "verdict");
    this.facts = element("p", "facts");
    this.sourcesTitle = element("h3", "", "Sources");
    this.list = element("ol", "sources");
    this.verdict.hidden = this.sourcesTitle.hidden = true;
    this.root.append(this.answer, this.verdict, this.facts, this.sourcesTitle, this.list);
  }

  setBusy(busy) {
    this.answer.setAttribute("aria-busy", String(busy));
  }

  add(token) {
    this.text += token;
    this.answer.textContent = this.text;
  }

  say(words) {
    this.facts.textContent = words;
  }

  showSources(sources) {
    this.list.replaceChildren();
    this.sourcesTitle.hidden = sources.length === 0;
    sources.forEach((source, i) => {
      const item = element("li");
      const place = element("div", "place");
      const details = element("details");
      item.id = `source-${this.id}-${i + 1}`;
      item.tabIndex = -1;
      place.append(element("span", "number", "[" + (i + 1) + "]"), element("span", "file", source.fileName),
        element("span", "where", placeOf(source)),
        element("span", "relevance", Math.round(source.similarityScore * 100) + " % relevant"));
      place.title = source.filePath ?? "";
      details.append(element("summary", "", (source.excerpt ?? "").replace(/\s+/g, " ")),
        element("p", "passage", source.content ?? source.excerpt ?? ""));
      item.append(place, details);
      this.list.append(item);
    });
  }

  link(number) {
    const link = element("a", "cite", String(number));
    link.href = `#source-${this.id}-${number}`;
    link.setAttribute("aria-label", "Source " + number);
    link.addEventListener("click", (event) => {
      const item = document.getElementById(`source-${this.id}-${number}`);
      event.preventDefault();
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
  showCitations(citations) {
    const characters = Array.from(this.text);
    let at = 0;
    let flagged = 0;
    this.answer.replaceChildren();
    for (const c of citations) {
      const text = characters.slice(c.start, c.end).join("");
      const sentence = element("span", c.supported ? "" : "unsupported", text);
      this.answer.append(characters.slice(at, c.start).join(""), sentence);
      if (!c.supported) {
        flagged++;
        sentence.title = "Not supported by the sources (" + c.verdict + ")";
      }
      if (c.sources.length && !/\[\d+\]\s*$/.test(text)) c.sources.forEach((n) => this.answer.append(this.link(n)));
      at = c.end;
    }
    this.answer.append(characters.slice(at).join(""));
    this.verdict.hidden = !citations.some((c) => c.sources.length) && flagged === 0;
    this.verdict.className = flagged ? "verdict bad" : "verdict";
    this.verdict.textContent = flagged
      ? plural(flagged, "sentence") + " marked: the sources do not support " + (flagged === 1 ? "it." : "them.")
      : "Every statement was found in the sources.";
  }

  complete(event) {
    this.showCitations(event.citations ?? []);
    this.say([
      event.model === "extract" ? "quoted, no language model" : event.model ? "written by " + event.model : "",
      event.retrievalTimeMs === undefined ? "" : "found in " + Math.round(event.retrievalTimeMs) + " ms",
      event.generationTimeMs === undefined ? "" : "written in " + (event.generationTimeMs / 1000).toFixed(1) + " s",
      event.degraded || "",
    ].filter(Boolean).join(" \u00b7 "));
  }
}

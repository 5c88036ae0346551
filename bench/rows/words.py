"""Words: BM25 of natural questions over real text, beside tantivy (and SQLite FTS5 for a few questions).

Passages are windows of 80 words over the English texts of the judged sets and the documentation trees, cut at such
a distance that 219,000 come out. The million holds those and, behind them, passages of two halves of 40 words from
two places, chosen by a fixed sequence: the shared texts are too small for a million windows that differ. Questions
are those of the English judged sets, 2,000 of them, evenly chosen, as OR queries.

tantivy gets the same text and analyses it with its own lower-casing and its own English stemmer; the words that we
leave out as stop words are left out there too. Its index keeps frequencies and no positions, one segment, one thread.
"""
import gzip
import json
import os
import re
import sqlite3
import subprocess
import tarfile
import time

NAMES = ("words-220k", "words-1m", "words-size", "words-typos", "words-pause")

PASSAGES = {"words-220k": 219_000, "words-1m": 1_000_000}
WORDS = 80
QUESTIONS = 2_000
SETS = ("adi", "cacm", "cranfield", "hotpotqa", "pubmedqa", "scifact", "squad", "xquad-en")
TREES = ("kubernetes-docs", "python-devguide")
BUDGET_MS = {"words-220k": 1.0, "words-1m": 2.0}
FTS_QUESTIONS = 40


def _lines(path):
    if os.path.exists(path + ".gz"):
        with gzip.open(path + ".gz", "rt", encoding="utf-8") as file:
            yield from file
    else:
        with open(path, encoding="utf-8") as file:
            yield from file


def _tree(context, name):
    """Words of the English files of a documentation tree."""
    path = os.path.join(context.data, "docs-corpora", name + ".tar.zst")
    unpacked = subprocess.run(["zstd", "-dc", path], stdout=subprocess.PIPE, check=True).stdout
    import io
    with tarfile.open(fileobj=io.BytesIO(unpacked)) as tar:
        for member in sorted(tar.getmembers(), key=lambda one: one.name):
            if not member.isfile() or re.search(r"/(zh|ja|ko|es|fr|ru)[-/]", member.name):
                continue
            if not re.search(r"\.(md|rst|txt)$", member.name):
                continue
            yield tar.extractfile(member).read().decode("utf-8", "replace").split()


def _texts(context):
    for name in SETS:
        for line in _lines(os.path.join(context.judged(name), "corpus.jsonl")):
            row = json.loads(line)
            yield (row["title"] + " " + row["text"]).split()
    for name in TREES:
        yield from _tree(context, name)


def _windows(texts, step):
    for words in texts:
        for at in range(0, max(len(words) - WORDS // 2, 1), step):
            yield words[at:at + WORDS]


def _step(texts, wanted):
    """The greatest distance of windows that gives as many as are wanted."""
    step = WORDS
    while step > 1 and sum(len(range(0, max(len(t) - WORDS // 2, 1), step)) for t in texts) < wanted:
        step -= 1
    return step


def corpus(context, wanted):
    """Path of a file of so many passages, a line each."""
    folder = context.folder("words-1")
    path = os.path.join(folder, f"passages-{wanted}.txt")
    if os.path.exists(path):
        return path
    texts = [words for words in _texts(context) if words]
    base = min(wanted, PASSAGES["words-220k"])
    step = _step(texts, base)
    everything = [word for words in texts for word in words]
    state, count = 88172645463325252, 0
    with open(path + ".tmp", "w", encoding="utf-8") as file:
        for window in _windows(texts, step):
            if count == base:
                break
            file.write(" ".join(window) + "\n")
            count += 1
        while count < wanted:
            halves = []
            for _ in range(2):
                state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
                at = (state >> 20) % (len(everything) - WORDS)
                halves += everything[at:at + WORDS // 2]
            file.write(" ".join(halves) + "\n")
            count += 1
    os.rename(path + ".tmp", path)
    return path


def questions(context, wanted):
    path = os.path.join(context.folder("words-1"), f"questions-{wanted}.txt")
    if os.path.exists(path):
        return path
    found = []
    for name in SETS:
        for line in _lines(os.path.join(context.judged(name), "queries.jsonl")):
            found.append(" ".join(json.loads(line)["text"].split()))
    chosen = [found[i * len(found) // wanted] for i in range(wanted)]
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in chosen)
    return path


# ----------------------------------------------------------------- the peers

class Tantivy:
    """The peer, in a process of its own so that it can be pinned: bench/rows/words.py as a program."""

    def __init__(self, context, passages, asked, folder):
        self.context = context
        self.command = context.pin() + [context.python, os.path.abspath(__file__)]
        made = os.path.join(folder, "made.json")
        if not os.path.exists(made):
            told = context.json(self.command + ["build", passages, folder])
            with open(made, "w", encoding="ascii") as file:
                json.dump(told, file)
        with open(made, encoding="ascii") as file:
            self.made = json.load(file)
        self.process = subprocess.Popen(self.command + ["serve", folder, asked], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def round(self):
        return _ask(self.process)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def _ask(process, command="round"):
    process.stdin.write(command + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def _stop_words():
    """Ours for English, from the source, so that both leave out the same."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    with open(os.path.join(root, "src", "text", "stop_words.c"), encoding="utf-8") as file:
        source = file.read()
    block = re.search(r"ENGLISH\[\]\s*=\s*\{?(.*?);", source, re.S)
    return sorted(set(re.findall(r"[a-z']+", " ".join(re.findall(r'"([^"]*)"', block.group(1))))))


def _schema():
    import tantivy
    analyzer = (tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple()).filter(tantivy.Filter.lowercase())
                .filter(tantivy.Filter.custom_stopword(_stop_words()))
                .filter(tantivy.Filter.stemmer("english")).build())
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("text", stored=False, tokenizer_name="ours", index_option="freq")
    return tantivy, builder.build(), analyzer


def _peer_build(passages, folder):
    tantivy, schema, analyzer = _schema()
    index = tantivy.Index(schema, path=folder)
    index.register_tokenizer("ours", analyzer)
    start = time.process_time()
    writer = index.writer(heap_size=1_000_000_000, num_threads=1)
    with open(passages, encoding="utf-8") as file:
        for line in file:
            writer.add_document(tantivy.Document(text=line))
    writer.commit()
    writer.wait_merging_threads()
    took = time.process_time() - start
    index.reload()
    size = sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder))
    print(json.dumps({"index": size, "build_s": round(took, 2), "segments": index.searcher().num_segments}))


def _peer_serve(folder, asked):
    import sys
    tantivy, schema, analyzer = _schema()
    index = tantivy.Index.open(folder)
    index.register_tokenizer("ours", analyzer)
    searcher = index.searcher()
    queries = []
    with open(asked, encoding="utf-8") as file:
        for line in file:
            terms = {}
            for word in analyzer.analyze(line):
                terms[word] = terms.get(word, 0) + 1
            parts = [(tantivy.Occur.Should,
                      tantivy.Query.boost_query(tantivy.Query.term_query(schema, "text", word, "freq"), float(times))
                      if times > 1 else tantivy.Query.term_query(schema, "text", word, "freq"))
                     for word, times in terms.items()]
            queries.append(tantivy.Query.boolean_query(parts))
    for _ in sys.stdin:
        taken = []
        cpu = time.process_time()
        for query in queries:
            start = time.perf_counter_ns()
            searcher.search(query, 10, count=False)
            taken.append((time.perf_counter_ns() - start) / 1e3)
        print(json.dumps({"us": taken, "cpu_s": time.process_time() - cpu}), flush=True)


def _fts(passages, asked):
    """P50 in ms of a few questions over SQLite FTS5 with its Porter stemmer, everything in memory."""
    db = sqlite3.connect(":memory:")
    db.execute("CREATE VIRTUAL TABLE t USING fts5(text, content='', tokenize='porter unicode61')")
    with open(passages, encoding="utf-8") as file:
        db.executemany("INSERT INTO t(rowid, text) VALUES (?, ?)", enumerate(file, 1))
    stop, taken = set(_stop_words()), []
    with open(asked, encoding="utf-8") as file:
        lines = file.read().splitlines()
    for line in lines[:: max(1, len(lines) // FTS_QUESTIONS)]:
        words = [word for word in re.findall(r"\w+", line.lower()) if word not in stop]
        start = time.perf_counter()
        db.execute("SELECT rowid FROM t WHERE t MATCH ? ORDER BY rank LIMIT 10",
                   (" OR ".join(f'"{word}"' for word in words) or '"x"',)).fetchall()
        taken.append((time.perf_counter() - start) * 1e3)
    return sorted(taken)[len(taken) // 2]


# ------------------------------------------------------------------- the rows

def _quantile(values, share):
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def _measure(context, name, wanted, asked):
    program = context.build("bench_words")
    passages = corpus(context, wanted)
    folder = context.folder("words-1", f"ours-{wanted}")
    built = context.json(context.pin() + [program, "build", folder, passages])
    peer = Tantivy(context, passages, asked, context.folder("words-1", f"tantivy-{wanted}"))
    ours = subprocess.Popen(context.pin() + [program, "serve", folder, asked], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)
    try:
        _ask(ours), peer.round()
        seen = context.turns({"ours": lambda: _ask(ours), "peer": peer.round}, 2 if context.quick else 5)
        checked = _ask(ours, "check")
    finally:
        ours.stdin.close()
        ours.wait()
        peer.close()
    tell = {}
    for side, rounds in seen.items():
        tell[side] = {"p50_ms": [_quantile(one["us"], .5) / 1e3 for one in rounds],
                      "p95_ms": [_quantile(one["us"], .95) / 1e3 for one in rounds],
                      "per_s": [len(one["us"]) / one["cpu_s"] for one in rounds]}
    return tell, built, peer.made, checked


def _typos(context, wanted, asked):
    """A question with a misspelt word, WORDS_TYPOS on and (as the peer) off; and what it costs the others."""
    program = context.build("bench_words")
    folder = context.folder("words-1", f"typos-{wanted}")
    context.json(context.pin() + [program, "build", folder, corpus(context, wanted)])
    ours = subprocess.Popen(context.pin() + [program, "serve", folder, asked], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)
    try:
        _ask(ours, "typos")
        rounds = [_ask(ours, "typos")["us"][1:] for _ in range(1 if context.quick else 3)]
    finally:
        ours.stdin.close()
        ours.wait()
    off, on, spelt = ([_quantile([one[i] for one in seen], .5) / 1e3 for seen in rounds] for i in range(3))
    return context.row("words-typos", "ms", on, off, "WORDS_TYPOS=false", more={"spelt_right_ms": spelt},
                       note=f"{wanted:,} passages, {len(rounds[0])} questions with two letters swapped in the longest "
                       f"word, CPU time; a question spelt right costs {_quantile(spelt, .5) * 1e3:.1f} us more")


def _pause(context, wanted):
    """The longest that a change waits while the index is saved; as the peer, the save alone, for which changes would
    wait if it stopped them."""
    program = context.build("bench_words")
    folder = context.folder("words-1", f"pause-{wanted}")
    passages = corpus(context, wanted)
    context.json([program, "build", folder, passages])
    alone = context.json([program, "pause", folder, os.devnull])
    beside = context.json([program, "pause", folder, passages])
    return context.row("words-pause", "ms", beside["longest_ms"], alone["save_s"] * 1e3, "waiting for the save",
                       more={"alone": alone, "beside": beside},
                       note=f"{wanted:,} passages saved while {beside['added']:,} more were added and published one by "
                       "one; words alone")


def run(names, context):
    rows = []
    asked = questions(context, 200 if context.quick else QUESTIONS)
    least = PASSAGES["words-220k"] // (20 if context.quick else 1)
    if "words-typos" in names:
        rows.append(_typos(context, least, asked))
    if "words-pause" in names:
        rows.append(_pause(context, least))
    for name, passages in PASSAGES.items():
        if name not in names and not (name == "words-220k" and "words-size" in names):
            continue
        wanted = passages // 20 if context.quick else passages
        tell, built, made, checked = _measure(context, name, wanted, asked)
        more = {"p95_ms": tell["ours"]["p95_ms"], "peer_p95_ms": tell["peer"]["p95_ms"],
                "per_s": tell["ours"]["per_s"], "peer_per_s": tell["peer"]["per_s"], "built": built,
                "peer_built": made, "exhaustive": checked}
        note = (f"{wanted:,} passages, {checked['questions']} questions as OR queries, top 10; "
                f"{checked['wrong']} answers differ from the exhaustive scorer's")
        if name == "words-220k" and not context.quick:
            more["fts5_p50_ms"] = _fts(corpus(context, wanted), asked)
        if name in names:
            rows.append(context.row(name, "ms", tell["ours"]["p50_ms"], tell["peer"]["p50_ms"], "tantivy 0.27",
                                    note=note, budget=BUDGET_MS[name], more=more))
        if name == "words-220k" and "words-size" in names:
            rows.append(context.row("words-size", "of the text", built["index"] / built["text"],
                                    made["index"] / built["text"], "tantivy 0.27", note="bytes of the index; ours with "
                                    "positions, tantivy's without", budget=0.6))
    return rows


if __name__ == "__main__":
    import sys
    if sys.argv[1] == "build":
        _peer_build(sys.argv[2], sys.argv[3])
    else:
        _peer_serve(sys.argv[2], sys.argv[3])

#!/usr/bin/env python3
"""Compares the tokenizer with Hugging Face `tokenizers`, ids and places, over every text of the
judged sets and over generated nasty ones.

    cmake --build build/debug --target wordpiece_dump
    TARS_TEST_DATA=DATA tests/golden/wordpiece_check.py build/debug/wordpiece_dump MODEL_FOLDER

MODEL_FOLDER holds vocab.txt. Needs Python with the package `tokenizers`. Status 0
when all agree.
"""
import glob
import gzip
import json
import os
import random
import subprocess
import sys
import threading
import unicodedata

from tokenizers import BertWordPieceTokenizer


def strings_of(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from strings_of(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings_of(item)


def data_texts(folder):
    """Every string of every line of every JSONL file."""
    for path in sorted(glob.glob(os.path.join(folder, "*", "*.jsonl*"))):
        opened = gzip.open if path.endswith(".gz") else open
        with opened(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield from strings_of(json.loads(line))


ODD = (
    [chr(c) for c in range(0x250)]
    + [chr(c) for c in range(0x300, 0x370)]
    + list("éÉİıßẞΣςſﬁΩKÅ각힣中文字豈﷽ﷺアｱパﾊﾟกำไทยहिन्दीעִבְרִיתعَرَبِيّ")
    + list("👩‍👩‍👧‍👦🏽🇩🇪❤️☂\u200b\u200c\u200d\u2028\u2029\ufeff\ufffd\u00ad\u034f\u061c")
    + ["\u1100", "\u1161", "\u11a8", "\u302e", "\u302f", "\U0001d15e", "\U0001d165", "\U0001d16d"]
    + ["\u0345", "\u0344", "\u1e9b\u0323", "\u2f800"[0], "\U0002f800", "\U00016ff0", "\u1fef"]
    + ["\u166d", "\u1734", "\U00011938", "\U000111c9", "\ue000", "\U000e0001", "\U0010ffff"]
    + [" ", "\t", "\n", "\r", "\x00", "\x7f", "\x85", "\xa0", "a", "b", "ing", "un", "##", "'", "-"]
    + ["[CLS]", "[SEP]", "[MASK]", "[PAD]", "[UNK]", "[cls]", "[", "]"]
)


def random_texts(seed, count):
    rng = random.Random(seed)
    for _ in range(count):
        kind = rng.random()
        if kind < 0.5:
            yield "".join(rng.choice(ODD) for _ in range(rng.randrange(1, 40)))
        elif kind < 0.8:
            yield "".join(any_char(rng) for _ in range(rng.randrange(1, 30)))
        else:
            base = rng.choice(["a", "é", "ש", "ক", "中", "\u1100"])
            yield base + "".join(chr(rng.choice(MARKS)) for _ in range(rng.randrange(1, 12)))


def any_char(rng):
    while True:
        code = rng.choice([rng.randrange(0x3000), rng.randrange(0x20000), rng.randrange(0x110000)])
        if not 0xD800 <= code <= 0xDFFF:
            return chr(code)


MARKS = [c for r in ((0x300, 0x370), (0x591, 0x5C8), (0x64B, 0x660), (0x1DC0, 0x1E00),
                     (0x302A, 0x3030), (0x1D165, 0x1D173), (0x20D0, 0x20F1)) for c in range(*r)]


def nasty_texts():
    for code in range(0x110000):
        if not 0xD800 <= code <= 0xDFFF:
            yield "x" + chr(code) + "y"
    for text in ("", " ", "a" * 100, "a" * 101, "é" * 100, "é" * 101, "각" * 33, "각" * 34,
                 "a" * 1000000, "é" * 500000, "." * 100000, "中" * 100000, "\u0301" * 100000,
                 "a\u0301" * 100, "a\u0301" * 101, "[CLS]" * 1000, "[CLS[CLS]", "unaffable" * 50000,
                 "\U0001d165" * 300, "\u302e\u302a" * 60):
        yield text
    for raw in (b"ab\xffcd", b"\xc3", b"\xe4\xb8", b"a\xed\xa0\x80b", b"\xf4\x90\x80\x80", b"\xc0\xaf",
                b"\xf0\x9f\x98 x", b"\x80\x80", b"x\xe2\x82"):
        yield raw


def byte_places(text):
    places = [0]
    for char in text:
        places.append(places[-1] + len(char.encode("utf-8")))
    return places


def expected(tokenizer, text):
    encoded = tokenizer.encode(text, add_special_tokens=False)
    if text.isascii():
        offsets = encoded.offsets
    else:
        places = byte_places(text)
        offsets = [(places[a], places[b]) for a, b in encoded.offsets]
    return list(zip(encoded.ids, offsets))


def reorders(text):
    """Canonical ordering moves marks in it; the reference's places follow the wrong ones then."""
    text = "".join(c for c in text if unicodedata.category(c)[0] != "C" and c != "\ufffd")
    return unicodedata.normalize("NFD", text) != "".join(
        unicodedata.normalize("NFD", c) for c in text)


def check(tokenizer, dump, texts):
    program = subprocess.Popen([dump, tokenizer.vocab_path], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)

    def feed():
        for text in texts:
            raw = text if isinstance(text, bytes) else text.encode("utf-8")
            program.stdin.write(b"%d\n" % len(raw) + raw)
        program.stdin.close()

    threading.Thread(target=feed, daemon=True).start()
    tokens = wrong_ids = wrong_places = reordered = 0
    for text in texts:
        raw = isinstance(text, bytes)
        decoded = text.decode("utf-8", "replace") if raw else text
        want = expected(tokenizer, decoded)
        line = program.stdout.readline().decode().split()
        got = [(int(i), tuple(map(int, p.split("-")))) for i, p in (t.split(":") for t in line)]
        tokens += len(want)
        same_ids = [g[0] for g in got] == [w[0] for w in want]
        # Where bytes were replaced, places in the two texts cannot be compared.
        if same_ids and not raw and got != want and reorders(text):
            reordered += 1
        elif not same_ids or (not raw and got != want):
            wrong_ids += not same_ids
            wrong_places += same_ids
            if wrong_ids + wrong_places <= 20:
                print("DIFFERS", ascii(decoded[:60]), "\n  want", want[:12], "\n  got ", got[:12])
    program.wait()
    return tokens, wrong_ids, wrong_places, reordered


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    vocab = os.path.join(sys.argv[2], "vocab.txt")
    tokenizer = BertWordPieceTokenizer(vocab, lowercase=True)
    tokenizer.vocab_path = vocab
    seed = int(os.environ.get("SEED", "1"))
    sets = [("nasty", list(nasty_texts())), ("random", list(random_texts(seed, 100000)))]
    folder = os.environ.get("TARS_TEST_DATA")
    if folder:
        sets.append(("data", list(data_texts(folder))))
    else:
        print("TARS_TEST_DATA is not set: only generated texts are compared")
    failed = 0
    for name, texts in sets:
        tokens, ids, places, reordered = check(tokenizer, sys.argv[1], texts)
        failed += ids + places
        print("%s: %d texts, %d tokens, %d differ in ids, %d in places "
              "(besides %d where marks change order)"
              % (name, len(texts), tokens, ids, places, reordered))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

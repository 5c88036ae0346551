"""Writes cross_encoder.json: pairs, and what transformers says of them with the weights of
tests/unit/model/tiny_model.h, which are drawn here once more.

    python3 tests/golden/make_cross_encoder.py > tests/golden/cross_encoder.json

Needs torch and transformers.
"""
import json
import os
import tempfile

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

HIDDEN, HEADS, LAYERS, MIDDLE, POSITIONS = 24, 2, 2, 40, 48
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "sat", "on", "mat", "query",
          ":", "passage", "##s", "a", "."]
PAIRS = [
    ("the cat sat", "a cat sat on the mat."),
    ("the cat sat", ""),
    ("", "the mats"),
    ("", ""),
    ("dog?", "The CATS sat; on a mat"),
    ("the cat", "the cat sat on the mat . " * 20),
    ("a cat sat on the mat . " * 20, "the mat"),
    ("the cat sat on the mat . " * 10, "a cat sat on a mat : " * 12),
    ("the cat sat on the mat : a query . a passage . the", "cat " * 23),
    ("cat " * 22, "the cat sat on the mat : a query . a passage . the mat"),
]
state = 7


def draw(*shape, scale, offset=0):
    global state
    out = np.empty(int(np.prod(shape)), dtype=np.float32)
    for i in range(out.size):
        state = (state * 1664525 + 1013904223) % 2**32
        random = np.float32(float(state >> 8) / (1 << 24) - 0.5)
        out[i] = np.float32(random * np.float32(scale)) + np.float32(offset)
    return torch.from_numpy(out.reshape(shape))


def pair(weights, base, rows, columns=0):
    weights[base + ".weight"] = draw(rows, columns, scale=0.6) if columns else draw(rows, scale=0.4,
                                                                                    offset=1)
    weights[base + ".bias"] = draw(rows, scale=0.3)


def make_weights():
    weights = {"bert.embeddings.word_embeddings.weight": draw(len(PIECES), HIDDEN, scale=2),
               "bert.embeddings.position_embeddings.weight": draw(POSITIONS, HIDDEN, scale=1),
               "bert.embeddings.token_type_embeddings.weight": draw(2, HIDDEN, scale=1)}
    pair(weights, "bert.embeddings.LayerNorm", HIDDEN)
    for layer in range(LAYERS):
        base = f"bert.encoder.layer.{layer}."
        for name in ("query", "key", "value"):
            pair(weights, f"{base}attention.self.{name}", HIDDEN, HIDDEN)
        pair(weights, base + "attention.output.dense", HIDDEN, HIDDEN)
        pair(weights, base + "attention.output.LayerNorm", HIDDEN)
        pair(weights, base + "intermediate.dense", MIDDLE, HIDDEN)
        pair(weights, base + "output.dense", HIDDEN, MIDDLE)
        pair(weights, base + "output.LayerNorm", HIDDEN)
    pair(weights, "bert.pooler.dense", HIDDEN, HIDDEN)
    weights["classifier.weight"] = draw(1, HIDDEN, scale=2)
    weights["classifier.bias"] = draw(1, scale=1)
    return weights


config = BertConfig(vocab_size=len(PIECES), hidden_size=HIDDEN, num_hidden_layers=LAYERS,
                    num_attention_heads=HEADS, intermediate_size=MIDDLE,
                    max_position_embeddings=POSITIONS, num_labels=1)
model = BertForSequenceClassification(config).eval()
model.load_state_dict(make_weights(), strict=False)
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "vocab.txt")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(PIECES) + "\n")
    tokenizer = BertTokenizerFast(path)
rows = []
for question, passage in PAIRS:
    # In lists, as CrossEncoder does: a single empty passage would be taken for none.
    given = tokenizer([question], [passage], truncation="longest_first", max_length=POSITIONS,
                      return_tensors="pt")
    with torch.no_grad():
        logit = model(**given).logits.item()
    rows.append({"question": question, "passage": passage, "ids": given["input_ids"][0].tolist(),
                 "types": given["token_type_ids"][0].tolist(), "logit": float(f"{logit:.8g}")})
lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
print(f'{{"pairs":[\n{lines}\n]}}')

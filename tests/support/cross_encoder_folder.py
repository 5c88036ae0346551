"""Writes the folder of a small cross-encoder with drawn weights, as transformers would."""
import array
import json
import os
import random
import string
import struct

HIDDEN, MIDDLE, LAYERS, POSITIONS = 32, 64, 2, 128


def write(folder, seed=7, labels=1):
    draw = random.Random(seed)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *string.ascii_lowercase, *string.digits, ".", ",", "?"]
    pieces += ["##" + c for c in string.ascii_lowercase + string.digits]
    shapes = {"bert.embeddings.word_embeddings.weight": (len(pieces), HIDDEN),
              "bert.embeddings.position_embeddings.weight": (POSITIONS, HIDDEN),
              "bert.embeddings.token_type_embeddings.weight": (2, HIDDEN)}

    def linear(name, rows, columns):
        shapes[name + ".weight"], shapes[name + ".bias"] = (rows, columns), (rows,)

    def norm(name):
        shapes[name + ".weight"], shapes[name + ".bias"] = (HIDDEN,), (HIDDEN,)

    norm("bert.embeddings.LayerNorm")
    for layer in range(LAYERS):
        base = f"bert.encoder.layer.{layer}."
        for part in ("query", "key", "value"):
            linear(base + "attention.self." + part, HIDDEN, HIDDEN)
        linear(base + "attention.output.dense", HIDDEN, HIDDEN)
        norm(base + "attention.output.LayerNorm")
        linear(base + "intermediate.dense", MIDDLE, HIDDEN)
        linear(base + "output.dense", HIDDEN, MIDDLE)
        norm(base + "output.LayerNorm")
    linear("bert.pooler.dense", HIDDEN, HIDDEN)
    linear("classifier", labels, HIDDEN)
    header, data = {}, array.array("f")
    for name, shape in shapes.items():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        middle = 1.0 if name.endswith("LayerNorm.weight") else 0.0
        start = 4 * len(data)
        data.extend(draw.uniform(middle - 0.4, middle + 0.4) for _ in range(count))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, 4 * len(data)]}
    text = json.dumps(header).encode()
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data.tobytes())
    with open(os.path.join(folder, "vocab.txt"), "w", encoding="utf-8") as file:
        file.write("\n".join(pieces) + "\n")
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump({"model_type": "bert", "hidden_act": "gelu", "hidden_size": HIDDEN, "num_hidden_layers": LAYERS,
                   "num_attention_heads": 4, "intermediate_size": MIDDLE, "max_position_embeddings": POSITIONS,
                   "vocab_size": len(pieces), "layer_norm_eps": 1e-12,
                   "sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}}, file)

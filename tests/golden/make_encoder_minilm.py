"""Writes encoder_minilm.json: texts, and what sentence-transformers makes of them in fp32.

    python3 tests/golden/make_encoder_minilm.py MODEL_FOLDER > tests/golden/encoder_minilm.json
"""
import json
import sys

from sentence_transformers import SentenceTransformer

TEXTS = [
    "What is the capital of France?",
    "Paris is the capital and most populous city of France.",
    "",
    "a",
    "The quick brown fox jumps over the lazy dog.",
    "Naïve café owners résumé their façades; Zürich, São Paulo, Kraków.",
    "int main(void) { return printf(\"%d\\n\", 42) < 0; }",
    "東京は日本の首都です。 Москва — столица России.",
    "Net sales increased 7% or $25.9 billion during 2023 compared to 2022; operating margin was 14.2%.",
    "supercalifragilisticexpialidocious pneumonoultramicroscopicsilicovolcanoconiosis",
    " ".join(f"Item {i}: the committee reviewed proposal {i * 37} and adjourned." for i in range(12)),
    " ".join(f"sentence number {i} of a passage that is longer than the model reads" for i in range(60)),
]

model = SentenceTransformer(sys.argv[1], device="cpu")
rows = []
for text in TEXTS:
    ids = model.tokenizer(text, truncation=True, max_length=model.max_seq_length)["input_ids"]
    vector = model.encode([text], normalize_embeddings=True)[0]
    rows.append({"text": text, "ids": ids, "vector": [float(f"{x:.8g}") for x in vector]})
rows = ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
print(f'{{"model":"all-MiniLM-L6-v2","texts":[\n{rows}\n]}}')

"""The same search from Python's parts, behind the same route: what tars is measured against as a whole.

    PIPELINE_DATA=FOLDER PIPELINE_MODEL=GRAPH.onnx PIPELINE_TOKENIZER=tokenizer.json \\
        python -m uvicorn bench.peer_pipeline:app

FOLDER has texts.jsonl and vectors.f32, as bench/fill writes them. ONNX Runtime embeds the question (one thread),
hnswlib (M = 16, ef_construction = 200, ef = 100) and bm25s (Snowball's English stems) find 100 each, the two lists are
joined half and half after min-max, the best top_k go out with their text. Indexes are built once and kept in FOLDER.
`python -m bench.peer_pipeline --build` builds them and ends; `--ingest FILE.jsonl` prints how long taking texts in takes.
"""
import json
import os
import sys
import time

import bm25s
import hnswlib
import numpy
import onnxruntime
import Stemmer
from tokenizers import Tokenizer

POOL, EF, M, BUILD_EF, LONGEST, BATCH = 100, 100, 16, 200, 256, 32


class Encoder:
    def __init__(self, graph, tokenizer, threads=1):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self.whole = numpy.int32 if "int32" in self.session.get_inputs()[0].type else numpy.int64
        self.tokenizer = Tokenizer.from_file(tokenizer)
        self.tokenizer.enable_truncation(LONGEST)
        self.tokenizer.enable_padding()

    def embed(self, texts):
        made = self.tokenizer.encode_batch(texts)
        ids = numpy.array([one.ids for one in made], self.whole)
        mask = numpy.array([one.attention_mask for one in made], self.whole)
        states = self.session.run(None, {"input_ids": ids, "attention_mask": mask,
                                         "token_type_ids": numpy.zeros_like(ids)})[0]
        weights = mask[:, :, None].astype(numpy.float32)
        vectors = (states * weights).sum(1) / weights.sum(1)
        return vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)


def words(texts, stemmer):
    return bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False)


def build_graph(vectors, path=None):
    index = hnswlib.Index(space="ip", dim=vectors.shape[1])
    index.init_index(max_elements=len(vectors), M=M, ef_construction=BUILD_EF, random_seed=1)
    index.add_items(vectors)
    if path:
        index.save_index(path)
    return index


def build_words(texts, stemmer, path=None):
    index = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    index.index(words(texts, stemmer), show_progress=False)
    if path:
        index.save(path)
    return index


class Pipeline:
    def __init__(self, folder, encoder):
        with open(os.path.join(folder, "texts.jsonl"), encoding="utf-8") as file:
            self.texts = [json.loads(line)["text"] for line in file]
        self.encoder, self.stemmer = encoder, Stemmer.Stemmer("english")
        graph, posted = os.path.join(folder, "hnswlib.bin"), os.path.join(folder, "bm25s")
        if not os.path.exists(graph):
            vectors = numpy.fromfile(os.path.join(folder, "vectors.f32"), numpy.float32).reshape(len(self.texts), -1)
            build_graph(vectors, graph + ".part")
            os.replace(graph + ".part", graph)
        if not os.path.isdir(posted):
            build_words(self.texts, self.stemmer, posted)
        self.graph = hnswlib.Index(space="ip", dim=384)
        self.graph.load_index(graph)
        self.graph.set_ef(EF)
        self.words = bm25s.BM25.load(posted)

    def search(self, query, top_k):
        near, far = self.graph.knn_query(self.encoder.embed([query]), k=POOL, num_threads=1)
        found = self.words.retrieve(words([query], self.stemmer), k=POOL, show_progress=False, n_threads=0)
        fused = {}
        for ids, scores in ((near[0], 1 - far[0]), (found.documents[0], found.scores[0])):
            low, high = float(scores.min()), float(scores.max())
            for one, score in zip(ids.tolist(), scores.tolist()):
                fused[one] = fused.get(one, 0) + 0.5 * ((score - low) / (high - low) if high > low else 1)
        best = sorted(fused.items(), key=lambda item: -item[1])[:top_k]
        return [{"document_id": str(one), "content": self.texts[one], "similarity_score": score,
                 "metadata": {"file_name": "corpus.jsonl"}} for one, score in best]


def from_environment():
    encoder = Encoder(os.environ["PIPELINE_MODEL"], os.environ["PIPELINE_TOKENIZER"])
    return Pipeline(os.environ["PIPELINE_DATA"], encoder)


def ingest(path):
    """Texts of a file into vectors and both indexes, in memory."""
    with open(path, encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    encoder = Encoder(os.environ["PIPELINE_MODEL"], os.environ["PIPELINE_TOKENIZER"], os.cpu_count())
    start, cpu = time.perf_counter(), time.process_time()
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # batches of like length: little padding
    vectors = numpy.empty((len(texts), 384), numpy.float32)
    for at in range(0, len(order), BATCH):
        some = order[at:at + BATCH]
        vectors[some] = encoder.embed([texts[i] for i in some])
    build_graph(vectors)
    build_words(texts, Stemmer.Stemmer("english"))
    print(json.dumps({"passages": len(texts), "seconds": time.perf_counter() - start,
                      "cpu_s": time.process_time() - cpu}))


def make_app():
    from fastapi import FastAPI
    from pydantic import BaseModel

    made = FastAPI()
    pipeline = from_environment()

    class Search(BaseModel):
        query: str
        top_k: int = 10

    @made.get("/ready")
    def ready():
        return {"status": "ready"}

    @made.post("/rag/search")
    def search(request: Search):
        start = time.perf_counter()
        results = pipeline.search(request.query, request.top_k)
        return {"query": request.query, "results": results, "total_results": len(results),
                "search_time_ms": (time.perf_counter() - start) * 1e3}

    return made


if __name__ == "__main__":
    if sys.argv[1:2] == ["--ingest"]:
        ingest(sys.argv[2])
    elif sys.argv[1:2] == ["--build"]:
        from_environment()
    else:
        sys.exit(__doc__)
elif "PIPELINE_DATA" in os.environ:
    app = make_app()

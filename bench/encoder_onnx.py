"""Writes a BERT encoder folder as ONNX graphs, as float32 and with dynamic int8, for bench/encoder_peer.py.

    python3 bench/encoder_onnx.py MODEL_FOLDER OUT_FOLDER

OUT_FOLDER/fp32.onnx is built from onnxruntime's own fused operators (EmbedLayerNormalization, Attention,
SkipLayerNormalization, BiasGelu): the graph that onnxruntime.transformers.optimizer makes of an export.
int8.onnx is what onnxruntime.quantization.quantize_dynamic makes of it: weights by column, signed, in
7 bits (reduce_range), as its documents advise for processors without VNNI; int8-full.onnx the same in 8 bits,
for those with VNNI. Needs onnx, onnxruntime and numpy.
"""
import json
import os
import struct
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic


def tensors(path):
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        table = json.loads(file.read(size))
        data = file.read()
    found = {}
    for name, entry in table.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            start, end = entry["data_offsets"]
            found[name] = np.frombuffer(data[start:end], np.float32).reshape(entry["shape"])
    return found


class Graph:
    """Nodes and constants, named as they are added."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, name, value):
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, operator, inputs, outputs, domain="com.microsoft", **attributes):
        self.nodes.append(helper.make_node(operator, inputs, outputs, domain=domain, name=outputs[0], **attributes))
        return outputs[0]

    def matmul(self, x, name, weights):
        return self.node("MatMul", [x, self.constant(name + ".weight", weights.T)], [name + ".product"], domain="")


def layer(graph, get, i, x, mask, heads, eps):
    base = f"encoder.layer.{i}."

    def weights(name):
        return get(base + name + ".weight")

    def bias(name):
        return graph.constant(base + name + ".bias", get(base + name + ".bias"))

    def norm(name, product, skip, product_bias):
        gain = graph.constant(base + name + ".gain", get(base + name + ".weight"))
        return graph.node("SkipLayerNormalization", [product, skip, gain, bias(name), product_bias],
                          [base + name + ".out"], epsilon=eps)

    parts = ["query", "key", "value"]
    qkv = np.concatenate([weights(f"attention.self.{p}") for p in parts])
    qkv_bias = np.concatenate([get(base + f"attention.self.{p}.bias") for p in parts])
    attention = graph.node("Attention", [x, graph.constant(base + "qkv.weight", qkv.T),
                                         graph.constant(base + "qkv.bias", qkv_bias), mask],
                           [base + "attention"], num_heads=heads)
    out = graph.matmul(attention, base + "out", weights("attention.output.dense"))
    x = norm("attention.output.LayerNorm", out, x, bias("attention.output.dense"))
    up = graph.matmul(x, base + "up", weights("intermediate.dense"))
    up = graph.node("BiasGelu", [up, bias("intermediate.dense")], [base + "gelu"])
    down = graph.matmul(up, base + "down", weights("output.dense"))
    return norm("output.LayerNorm", down, x, bias("output.dense"))


def build(folder):
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    found = tensors(os.path.join(folder, "model.safetensors"))
    prefix = next(n for n in found if n.endswith("embeddings.word_embeddings.weight")).split("embeddings.")[0]

    def get(name):
        return found[prefix + name]

    graph, eps = Graph(), float(config["layer_norm_eps"])
    tables = [graph.constant(n, get(f"embeddings.{n}.weight"))
              for n in ("word_embeddings", "position_embeddings", "token_type_embeddings")]
    norm = [graph.constant("embeddings.gain", get("embeddings.LayerNorm.weight")),
            graph.constant("embeddings.bias", get("embeddings.LayerNorm.bias"))]
    graph.node("EmbedLayerNormalization", ["input_ids", "token_type_ids", *tables, *norm, "attention_mask"],
               ["embedded", "mask_index"], epsilon=eps)
    x = "embedded"
    for i in range(config["num_hidden_layers"]):
        x = layer(graph, get, i, x, "mask_index", config["num_attention_heads"], eps)
    shape = ["texts", "tokens"]
    names = ["input_ids", "attention_mask", "token_type_ids"]
    made = helper.make_graph(
        graph.nodes, "bert", [helper.make_tensor_value_info(n, TensorProto.INT32, shape) for n in names],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, [*shape, config["hidden_size"]])], graph.constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(made, opset_imports=opsets, ir_version=8)


def main():
    folder, out = sys.argv[1:3]
    os.makedirs(out, exist_ok=True)
    fp32 = os.path.join(out, "fp32.onnx")
    onnx.save(build(folder), fp32)
    for name, reduced in (("int8.onnx", True), ("int8-full.onnx", False)):
        quantize_dynamic(fp32, os.path.join(out, name), per_channel=True, reduce_range=reduced,
                         weight_type=QuantType.QInt8, extra_options={"DefaultTensorType": TensorProto.FLOAT})


if __name__ == "__main__":
    main()

"""PyTorch's side of training-step.mjs: BERT from a safetensors file; one AdamW step for every line of JSON on stdin."""

import json
import struct
import sys
import time

import torch
import torch.nn.functional as F

weights_file, threads = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(threads)


def read_safetensors(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = bytearray(file.read())
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        count = (end - begin) // 4
        tensors[name] = torch.frombuffer(data, dtype=torch.float32, count=count, offset=begin).reshape(entry["shape"])
    return tensors


def is_table(name):
    return name.startswith("embedding.") and not name.startswith("embedding.norm")


# Dense weights in PyTorch's own layout, [out, in].
w = {}
for name, value in read_safetensors(weights_file).items():
    dense = value.dim() == 2 and not is_table(name)
    w[name] = torch.nn.Parameter((value.t() if dense else value).contiguous().clone())
hidden = w["embedding.word.weight"].shape[1]
heads = hidden // 64
layers = sum(name.endswith(".query.weight") for name in w)


def linear(x, name):
    return F.linear(x, w[name + ".weight"], w[name + ".bias"])


def norm(x, name):
    return F.layer_norm(x, (hidden,), w[name + ".weight"], w[name + ".bias"], 1e-12)


def forward(ids):
    batch, tokens = ids.shape
    position = F.embedding(torch.arange(tokens), w["embedding.position.weight"])
    segment = F.embedding(torch.zeros(1, dtype=torch.long), w["embedding.segment.weight"])
    x = norm(F.embedding(ids, w["embedding.word.weight"]) + position + segment, "embedding.norm")
    bias = (1 - torch.ones(batch, 1, 1, tokens)) * -1e9

    def split(y):
        return y.view(batch, tokens, heads, 64).transpose(1, 2)

    for layer in range(layers):
        name = f"layer{layer}"
        query, key, value = (split(linear(x, f"{name}.{part}")) for part in ("query", "key", "value"))
        probabilities = torch.softmax(query @ key.transpose(-1, -2) / 8 + bias, -1)
        context = (probabilities @ value).transpose(1, 2).reshape(batch, tokens, hidden)
        x = norm(linear(context, f"{name}.projection") + x, f"{name}.attention.norm")
        expanded = F.gelu(linear(x, f"{name}.ffn.expand"))
        x = norm(linear(expanded, f"{name}.ffn.contract") + x, f"{name}.ffn.norm")
    return linear(torch.tanh(linear(x[:, 0], "pooler")), "classifier")


def matmul_gflops():
    """Best of some products [1024, 128] x [128, 512], the feed-forward layer's: tells which BLAS PyTorch has."""
    a, b, best = torch.randn(1024, 128), torch.randn(128, 512), float("inf")
    for _ in range(50):
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return 2 * 1024 * 128 * 512 / best / 1e9


print(json.dumps({"matmulGflops": matmul_gflops()}), flush=True)
optimizer = torch.optim.AdamW(w.values(), lr=1e-4, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
for line in sys.stdin:
    batch = json.loads(line)
    ids, labels = torch.tensor(batch["rows"]), torch.tensor(batch["labels"])
    start = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    loss = F.cross_entropy(forward(ids), labels)
    loss.backward()
    backward = time.perf_counter()
    optimizer.step()
    end = time.perf_counter()
    result = {"milliseconds": 1e3 * (end - start), "backwardMilliseconds": 1e3 * (backward - start), "loss": loss.item()}
    print(json.dumps(result), flush=True)

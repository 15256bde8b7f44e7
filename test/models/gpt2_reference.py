"""GPT-2's forward pass in PyTorch: reads a request (sizes, names and shapes of weights, ids), writes the logits."""
import json
import sys

import numpy as np
import torch
import torch.nn.functional as F

request = json.load(open(sys.argv[1]))
sizes, ids = request["sizes"], torch.tensor(request["ids"])
flat = torch.from_numpy(np.fromfile(request["input"], dtype=np.float32))
weights, at = {}, 0
for name, shape in request["weights"]:
    count = int(np.prod(shape))
    weights[name] = flat[at : at + count].reshape(shape)
    at += count


def dense(x, name):
    return x @ weights[f"{name}.weight"] + weights[f"{name}.bias"]


def norm(x, name):
    return F.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], sizes["epsilon"])


def heads(x):
    return x.reshape(len(x), sizes["heads"], -1).transpose(0, 1)


words = weights["embedding.word.weight"]
x = words[ids] + weights["embedding.position.weight"][: len(ids)]
later = torch.triu(torch.full((len(ids), len(ids)), float("-inf")), diagonal=1)
for layer in range(sizes["layers"]):
    name = f"layer{layer}"
    normed = norm(x, f"{name}.attention.norm")
    query, key, value = (heads(dense(normed, f"{name}.{part}")) for part in ("query", "key", "value"))
    scores = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5 + later
    context = (scores.softmax(-1) @ value).transpose(0, 1).reshape(x.shape)
    x = x + dense(context, f"{name}.projection")
    hidden = F.gelu(dense(norm(x, f"{name}.ffn.norm"), f"{name}.ffn.expand"), approximate="tanh")
    x = x + dense(hidden, f"{name}.ffn.contract")
(norm(x, "final.norm") @ words.T).numpy().tofile(request["output"])

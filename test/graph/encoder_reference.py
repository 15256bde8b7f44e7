"""The encoder of encoder.ts in PyTorch: reads a JSON request, writes loss and gradients as float32.

usage: encoder_reference.py REQUEST; the request names the files and gives sizes and the order of the weights.
"""
import json
import math
import sys

import numpy as np
import torch
import torch.nn.functional as F

request = json.load(open(sys.argv[1]))
sizes = request["sizes"]
raw = np.fromfile(request["input"], dtype=np.float32)
w, at = {}, 0
for name, shape in request["weights"]:
    count = int(np.prod(shape))
    w[name] = torch.tensor(raw[at : at + count].reshape(shape), requires_grad=True)
    at += count
ids, mask, labels = torch.tensor(request["ids"]), torch.tensor(request["mask"]), torch.tensor(request["labels"])
hidden, heads = sizes["hidden"], sizes["heads"]
batch, tokens = ids.shape


def linear(x, name):
    return x @ w[name + ".weight"] + w[name + ".bias"]


def norm(x, name):
    return F.layer_norm(x, (hidden,), w[name + ".weight"], w[name + ".bias"], 1e-12)


def per_head(x):
    return x.view(batch, tokens, heads, hidden // heads).transpose(1, 2)


x = F.embedding(ids, w["embeddings.word"]) + w["embeddings.type"][0] + w["embeddings.position"][:tokens]
x = norm(x, "embeddings.norm")
for layer in range(sizes["layers"]):
    p = "layer%d" % layer
    q, k, v = (per_head(linear(x, "%s.%s" % (p, part))) for part in ("query", "key", "value"))
    scores = q @ k.transpose(-1, -2) / math.sqrt(hidden // heads) + (mask[:, None, None, :] - 1) * 1e9
    context = (torch.softmax(scores, -1) @ v).transpose(1, 2).reshape(batch, tokens, hidden)
    x = norm(linear(context, p + ".output") + x, p + ".norm1")
    x = norm(linear(F.gelu(linear(x, p + ".up")), p + ".down") + x, p + ".norm2")
logits = linear(torch.tanh(linear(x[:, 0], "pooler")), "classifier")
loss = F.cross_entropy(logits, labels)
loss.backward()
with open(request["output"], "wb") as file:
    loss.detach().numpy().astype(np.float32).tofile(file)
    for name, _ in request["weights"]:
        w[name].grad.numpy().astype(np.float32).tofile(file)

"""DynaProp on a BERT encoder in PyTorch: pruning by autograd functions. Reads a task from stdin, writes JSON to stdout."""

import json
import math
import sys

import torch

task = json.load(sys.stdin)
ids = torch.tensor(task["ids"])
mask = torch.tensor(task["mask"], dtype=torch.float64)
heads, layers = task["heads"], task["layers"]
w, thresholds = {}, {}


class Prune(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        keep = x.abs() > thresholds["forward"]
        context.save_for_backward(keep)
        return x * keep

    @staticmethod
    def backward(context, gradient):
        (keep,) = context.saved_tensors
        gradient = gradient * keep
        return gradient * (gradient.abs() > thresholds["gradients"])


prune = Prune.apply


def linear(x, name):
    return x @ w[name + ".weight"] + w[name + ".bias"]


def norm(x, name):
    return torch.nn.functional.layer_norm(x, x.shape[-1:], w[name + ".weight"], w[name + ".bias"], 1e-12)


def split(x):
    return x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)


def loss_of():
    batch, tokens = ids.shape
    x = w["embedding.word.weight"][ids] + w["embedding.position.weight"][:tokens] + w["embedding.segment.weight"][0]
    x = norm(x, "embedding.norm")
    bias = (1 - mask)[:, None, None, :] * -1e9
    for layer in range(layers):
        name = f"layer{layer}"
        q, k, v = (split(prune(linear(x, f"{name}.{part}"))) for part in ("query", "key", "value"))
        scores = prune(q @ k.transpose(-1, -2))
        probabilities = prune(torch.softmax(scores / math.sqrt(q.shape[-1]) + bias, -1))
        context = prune(probabilities @ v).transpose(1, 2).reshape(batch, tokens, -1)
        x = norm(prune(linear(context, f"{name}.projection")) + x, f"{name}.attention.norm")
        hidden = prune(torch.nn.functional.gelu(linear(x, f"{name}.ffn.expand")))
        x = norm(prune(linear(hidden, f"{name}.ffn.contract")) + x, f"{name}.ffn.norm")
    pooled = prune(torch.tanh(linear(x[:, 0], "pooler")))
    return torch.nn.functional.cross_entropy(linear(pooled, "classifier"), torch.tensor(task["labels"]))


def update(name, gradient):
    pruned = name in task["pruned"]
    return gradient * (gradient.abs() > thresholds["parameters"]) if pruned else gradient


def answer(case):
    thresholds.update(case)
    for name, value in task["weights"].items():
        w[name] = torch.tensor(value, dtype=torch.float64, requires_grad=True)
    loss = loss_of()
    loss.backward()
    return {"loss": loss.item(), "gradients": {name: update(name, x.grad).tolist() for name, x in w.items()}}


print(json.dumps([answer(case) for case in task["cases"]]))

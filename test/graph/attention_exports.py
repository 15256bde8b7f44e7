"""Exports small attention modules, written in different ways, to ONNX files in the folder given."""
import math
import sys
import warnings

import torch
from torch import nn

warnings.filterwarnings("ignore")
torch.manual_seed(0)
WIDTH, HEADS = 16, 2


class Attention(nn.Module):
    """Additive padding mask, scores divided by the root of the head dimension."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.dropout = nn.Dropout(0.1)

    def split(self, x):
        return x.view(x.size(0), x.size(1), HEADS, WIDTH // HEADS).permute(0, 2, 1, 3)

    def project(self, x, memory):
        return self.split(self.query(x)), self.split(self.key(memory)), self.split(self.value(memory))

    def merge(self, context):
        return context.permute(0, 2, 1, 3).reshape(context.size(0), context.size(2), WIDTH)

    def forward(self, x, mask):
        q, k, v = self.project(x, x)
        scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(q.size(-1))
        scores = scores + (1.0 - mask[:, None, None, :]) * -10000.0
        return self.merge(torch.matmul(self.dropout(torch.softmax(scores, -1)), v))


class Causal(Attention):
    """Two masks that replace scores; the scale multiplies."""

    def forward(self, x, mask):
        q, k, v = self.project(x, x)
        scores = torch.matmul(q, k.transpose(-1, -2)) * q.size(-1) ** -0.5
        lower = torch.tril(torch.ones(x.size(1), x.size(1), dtype=torch.bool))
        scores = torch.where(lower, scores, torch.tensor(-1e4))
        scores = scores.masked_fill(mask[:, None, None, :] == 0, torch.finfo(torch.float32).min)
        return self.merge(torch.matmul(torch.softmax(scores, -1), v))


class BothScaled(Attention):
    """The scale is shared between queries and keys, as in scaled_dot_product_attention; a mask that multiplies heads."""

    def forward(self, x, mask):
        q, k, v = self.project(x, x)
        root = math.sqrt(1 / math.sqrt(q.size(-1)))
        scores = torch.matmul(q * root, k.transpose(-2, -1) * root)
        probabilities = torch.softmax(scores + mask.log()[:, None, None, :].clamp(min=-1e4), -1)
        return self.merge(torch.matmul(probabilities * torch.tensor([1.0, 0.5])[None, :, None, None], v))


class Cross(Attention):
    """Keys and values come from elsewhere."""

    def forward(self, x, mask):
        q, k, v = self.project(x, mask[:, :, None] * torch.ones(WIDTH))
        return self.merge(torch.matmul(torch.softmax(torch.matmul(q, k.transpose(-1, -2)) / 2, -1), v))


class Packed(nn.Module):
    """PyTorch's own module, whose scores are [batch * heads, queries, keys]."""

    def __init__(self):
        super().__init__()
        self.inner = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)

    def forward(self, x, mask):
        return self.inner(x, x, x, key_padding_mask=mask == 0)[0]


class Encoder(nn.Module):
    """PyTorch's own encoder of two layers."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 32, batch_first=True)
        self.inner = nn.TransformerEncoder(layer, 2)

    def forward(self, x, mask):
        return self.inner(x, src_key_padding_mask=mask == 0)


MODULES = {
    "additive": Attention,
    "causal": Causal,
    "both-scaled": BothScaled,
    "cross": Cross,
    "packed": Packed,
    "encoder": Encoder,
}

for name, module in MODULES.items():
    # The encoder's evaluation mode is one fused operator that has no ONNX form; its dropout exports as such.
    instance = module().train(name == "encoder")
    x, mask = torch.randn(3, 5, WIDTH), torch.ones(3, 5)
    mask[0, 3:] = 0
    dynamic = {"x": {0: "batch", 1: "tokens"}, "mask": {0: "batch", 1: "tokens"}}
    torch.onnx.export(
        instance,
        (x, mask),
        f"{sys.argv[1]}/{name}.onnx",
        input_names=["x", "mask"],
        output_names=["y"],
        dynamic_axes=dynamic,
        opset_version=17,
        training=torch.onnx.TrainingMode.PRESERVE,
    )

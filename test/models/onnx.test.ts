import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../src/graph/builder.js';
import { withDefaults } from '../../src/graph/edit.js';
import { differentiate } from '../../src/graph/gradients/index.js';
import { writeModelFile } from '../../src/graph/onnx/files.js';
import { findAttention } from '../../src/graph/patterns/attention.js';
import { type DataType, floatTensor, type Graph, int, int64Tensor } from '../../src/graph/types.js';
import { onnx } from '../../src/models/onnx.js';
import { VOCABULARY } from './bert-folder.js';
import { largestDifference, valuesOf } from './run.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tandem-onnx-'));
  writeFileSync(join(folder, 'vocab.txt'), VOCABULARY.join('\n'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
  if (exportedFile) rmSync(dirname(exportedFile), { recursive: true });
});

const load = (options: object, classes = 2) =>
  onnx.load(onnx.schema.parse(options), { classes, seed: 1, baseFolder: folder });

const WIDTH = 3;
const table = Float32Array.from({ length: VOCABULARY.length * WIDTH }, (_, i) => Math.sin(i));

interface Variant {
  readonly ids?: DataType;
  readonly mask?: DataType;
  readonly tokenTypes?: boolean;
  /** Further input that Tandem does not know. */
  readonly extra?: boolean;
  readonly opset?: number;
}

/** An "encoder" that looks words up, adds 100·token type, and zeroes padding: hidden [b, t, 3]. */
function encoder({ ids = 'int64', mask = 'int64', tokenTypes = true, extra, opset = 17 }: Variant = {}): GraphBuilder {
  const b = new GraphBuilder('lookup');
  b.opsets[''] = opset;
  const inputIds = b.input('input_ids', ids, ['batch_size', 'sequence_length']);
  const attention = b.cast(b.input('attention_mask', mask, ['batch_size', 'sequence_length']), 'float32');
  const words = b.op('Gather', [b.initializer('words', floatTensor(table, [VOCABULARY.length, WIDTH])), inputIds]);
  const last = b.ints([2]);
  let x = b.mul(words, b.op('Unsqueeze', [attention, last]));
  if (tokenTypes) {
    const types = b.cast(b.input('token_type_ids', 'int64', ['batch_size', 'sequence_length']), 'float32');
    x = b.add(x, b.mul(b.op('Unsqueeze', [types, last]), b.constant(100)));
  }
  if (extra) x = b.add(x, b.input('position_bias', 'float32', [1]));
  b.output(b.op('Identity', [x], {}, 'last_hidden_state'));
  return b;
}

let written = 0;
function write(graph: Graph): string {
  const name = `model${written++}.onnx`;
  writeModelFile(join(folder, name), graph);
  return name;
}

const row = (id: number) => Array.from(table.slice(WIDTH * id, WIDTH * (id + 1)));
const mean = (ids: readonly number[]) =>
  [0, 1, 2].map((i) => ids.reduce((sum, id) => sum + row(id)[i]!, 0) / ids.length);

describe('a user’s ONNX model', () => {
  it.each<Variant>([
    {},
    { mask: 'float32', tokenTypes: false },
    { ids: 'int32', mask: 'int32' },
    { mask: 'bool' },
    { opset: 13 },
  ])('takes Tandem’s inputs, whatever its own types: %o', async (variant) => {
    const model = await load({ file: write(encoder(variant).finish()) });
    expect(model.graph.inputs).toEqual([
      { name: 'input_ids', dtype: 'int64', shape: ['batch', 'tokens'] },
      { name: 'attention_mask', dtype: 'float32', shape: ['batch', 'tokens'] },
    ]);
    expect(model.graph.outputs).toEqual([{ name: 'logits', dtype: 'float32', shape: ['batch', 2] }]);
    const rows = [
      [2, 5, 6, 3],
      [2, 9],
    ];
    const { pooled } = await valuesOf(model.graph, rows, ['pooled']);
    expect(largestDifference(pooled!, rows.flatMap(mean))).toBeLessThan(1e-6);
    expect([...model.trainable].sort()).toEqual(['classifier.bias', 'classifier.weight', 'words']);
    expect(model.provenance.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(model.tokenizer.encode('the film', 128)).toEqual([2, 5, 6, 3]);
  });

  it('leaves inputs that it does not know at their defaults', async () => {
    const defaults = new Map([
      ['position_bias', floatTensor([0.5])],
      ['token_type_ids', int64Tensor([1], [1, 1])],
    ]);
    const model = await load({ file: write(withDefaults(encoder({ extra: true }).finish(), defaults)) });
    expect(model.graph.inputs.map(({ name }) => name)).toEqual(['input_ids', 'attention_mask']);
    const { pooled } = await valuesOf(model.graph, [[5, 6]], ['pooled']);
    // Token types are zeros here too.
    expect(
      largestDifference(
        pooled!,
        mean([5, 6]).map((element) => element + 0.5),
      ),
    ).toBeLessThan(1e-6);
  });

  it('keeps logits that fit the task, and adds a classifier to a sentence vector', async () => {
    const b = encoder();
    const sentence = b.op(
      'ReduceMax',
      ['last_hidden_state'],
      { axes: { kind: 'ints', value: [1] }, keepdims: int(0) },
      'sentence',
    );
    const weight = b.initializer('classifier.weight', floatTensor([1, 0, 0, 1, 1, 1], [WIDTH, 2]));
    b.output(b.matmul(sentence, weight, 'logits'));
    const file = write(b.finish());
    const own = await load({ file });
    const { logits, sentence: vector } = await valuesOf(own.graph, [[5, 6]], ['logits', 'sentence']);
    const [x, y, z] = vector as [number, number, number];
    expect(largestDifference(logits!, [x + z, y + z])).toBeLessThan(1e-6);
    expect(own.graph.initializers.get('classifier.weight')!.shape).toEqual([WIDTH, 2]);
    const added = await load({ file, output: 'sentence' }, 4);
    expect(added.graph.outputs).toEqual([{ name: 'logits', dtype: 'float32', shape: ['batch', 4] }]);
    expect(added.graph.initializers.get('classifier.weight')!.shape).toEqual([WIDTH, 4]);
    await expect(load({ file }, 3)).rejects.toMatchObject({ code: 'TANDEM_MODEL_UNSUPPORTED' });
  });

  it('explains what it cannot use', async () => {
    const refused = async (graph: Graph, options: object, said: string) => {
      const error = await load({ file: write(graph), ...options }).catch((caught) => caught);
      expect(error).toMatchObject({ code: 'TANDEM_MODEL_UNSUPPORTED', place: expect.stringContaining('.onnx') });
      expect(`${error.message} ${error.remedy}`).toContain(said);
    };
    await refused(encoder({ extra: true }).finish(), {}, 'position_bias');
    await refused(encoder({ tokenTypes: false }).finish(), { output: 'last_hiden_state' }, '"last_hidden_state"');
    const flat = encoder();
    flat.output(flat.op('ReduceSum', ['last_hidden_state'], { keepdims: int(0) }, 'total'));
    await refused(flat.finish(), { output: 'total' }, 'float32 []');
    const old = encoder();
    old.opsets[''] = 12;
    await refused(old.finish(), {}, 'operator set 12');
  });

  it('refuses a tokenizer with more ids than the model has embeddings', async () => {
    writeFileSync(join(folder, 'large.txt'), [...VOCABULARY, 'one', 'more'].join('\n'));
    await expect(load({ file: write(encoder().finish()), tokenizer: 'large.txt' })).rejects.toMatchObject({
      code: 'TANDEM_TOKENIZER_INVALID',
      message: expect.stringContaining('14'),
    });
    await expect(load({ file: 'absent.onnx' })).rejects.toMatchObject({ code: 'TANDEM_FILE_NOT_FOUND' });
    await expect(load({ file: write(encoder().finish()), tokenizer: 'absent' })).rejects.toMatchObject({
      code: 'TANDEM_FILE_NOT_FOUND',
    });
  });
});

const python = '/usr/bin/python3';
const EXPORT = `
import json, sys, torch
torch.manual_seed(0)
class Encoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.words = torch.nn.Embedding(13, 8)
        self.query, self.key, self.value = (torch.nn.Linear(8, 8) for _ in range(3))
        self.norm = torch.nn.LayerNorm(8)
        self.head = torch.nn.Linear(8, 3)
    def forward(self, input_ids, attention_mask):
        x = self.words(input_ids)
        b, t = input_ids.shape
        q, k, v = (f(x).view(b, t, 2, 4).transpose(1, 2) for f in (self.query, self.key, self.value))
        bias = (1 - attention_mask[:, None, None, :].float()) * -10000.0
        p = torch.softmax(q @ k.transpose(-1, -2) / 2 + bias, -1)
        x = self.norm(x + (p @ v).transpose(1, 2).reshape(b, t, 8))
        return self.head(x[:, 0])
model = Encoder().eval()
ids = torch.tensor([[2, 5, 6, 3, 0], [2, 7, 8, 9, 3]])
mask = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]])
dims = {0: 'b', 1: 't'}
torch.onnx.export(model, (ids, mask), sys.argv[1], opset_version=14, input_names=['input_ids', 'attention_mask'],
    output_names=['logits'], dynamic_axes={'input_ids': dims, 'attention_mask': dims, 'logits': {0: 'b'}})
print(json.dumps(model(ids, mask).flatten().tolist()))
`;
function exported(): number[] | undefined {
  const target = mkdtempSync(join(tmpdir(), 'tandem-export-'));
  try {
    writeFileSync(join(target, 'export.py'), EXPORT);
    const printed = execFileSync(python, [join(target, 'export.py'), join(target, 'exported.onnx')], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    exportedFile = join(target, 'exported.onnx');
    return JSON.parse(printed.trim().split('\n').at(-1)!) as number[];
  } catch {
    console.log(`skipped: a model that PyTorch exported needs torch in ${python}`);
    return undefined;
  }
}
let exportedFile = '';
const torchLogits = exported();

describe('a model that PyTorch exported', () => {
  it.skipIf(!torchLogits)('gives the logits that PyTorch gives', async () => {
    const model = await load({ file: exportedFile, tokenizer: '.' }, 3);
    const { logits } = await valuesOf(
      model.graph,
      [
        [2, 5, 6, 3],
        [2, 7, 8, 9, 3],
      ],
      ['logits'],
    );
    expect(largestDifference(logits!, torchLogits!)).toBeLessThan(1e-5);
    expect(findAttention(model.graph)).toHaveLength(1);
  });

  it.skipIf(!torchLogits)('of an operator set older than gradients need trains all the same', async () => {
    const { graph, trainable } = await load({ file: exportedFile, tokenizer: '.' }, 3);
    const b = new GraphBuilder('loss', graph);
    const loss = b.op('ReduceMean', ['logits'], { keepdims: int(0) });
    const gradients = trainable.map((name) => `grad:${name}`);
    const values = await valuesOf(differentiate(b.finish(), { loss, wrt: trainable }), [[2, 5, 6, 3]], gradients);
    expect(Object.values(values).flat().every(Number.isFinite)).toBe(true);
  });
});

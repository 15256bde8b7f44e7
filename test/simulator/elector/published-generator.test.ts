import { describe, expect, test } from 'vitest';
import { publishedOperations } from '../../../src/simulator/elector/published-generator.js';
import {
  type ComputeOperation,
  isHeads,
  type MemoryOperation,
} from '../../../src/simulator/elector/published-operations.js';
import { namedArchitecture } from '../../../src/workload/named-transformers.js';
import type { HeadOperation, TransformerArchitecture } from '../../../src/workload/transformer.js';

const nano = namedArchitecture('nano', 'model');
const sdp: HeadOperation = { kind: 'sdp', dim: 16 };
const [BATCH, TOKENS, HIDDEN, DIM] = [4, 128, 32, 16];
const sizes = { batch: BATCH, tokens: TOKENS };

const withHeads = (...heads: HeadOperation[]): TransformerArchitecture => ({
  ...nano,
  layers: [{ ...nano.layers[0]!, heads }],
});

/** "name rows×columns" of each operation: what is between heads, and the heads of each layer. */
function memoryOf(architecture: TransformerArchitecture, phase: 'inference' | 'training' = 'inference') {
  const text = ({ kind, name, dims: [, rows, columns] }: MemoryOperation) => `${kind} ${name} ${rows}×${columns}`;
  return publishedOperations(architecture, sizes, phase).memory.map((entry) =>
    isHeads(entry) ? entry.heads.map((head) => head.map(text)) : text(entry),
  );
}

function computeOf(architecture: TransformerArchitecture, phase: 'inference' | 'training' = 'inference') {
  const text = ({ kind, name, left, right }: ComputeOperation) =>
    `${kind} ${name} ${left.slice(1).join('×')}${right ? ` · ${right.slice(1).join('×')}` : ''}`;
  return publishedOperations(architecture, sizes, phase).compute.map((entry) =>
    isHeads(entry) ? entry.heads.map((head) => head.map(text)) : text(entry),
  );
}

const headsOf = (entries: readonly (string | string[][])[], which = 0) =>
  entries.filter((entry): entry is string[][] => typeof entry !== 'string')[which]!;

describe('forward operations', () => {
  test('memory: embeddings, the heads side by side, then weights and outputs of the feed-forward stacks', () => {
    const [embeddings, heads, ...rest] = memoryOf(nano);
    expect(embeddings).toBe(`load embeddings ${30522 + TOKENS}×${HIDDEN}`);
    expect(heads).toHaveLength(2);
    expect(heads![1]).toEqual([
      'load layer0_head1_q-weights 32×16',
      'load layer0_head1_k-weights 32×16',
      'load layer0_head1_v-weights 32×16',
      'store layer0_head1_q 128×16',
      'store layer0_head1_k 128×16',
      'store layer0_head1_v 128×16',
      'store layer0_head1_scores 128×128',
      'store layer0_head1_softmax 128×128',
      'store layer0_head1_context 128×16',
      'load layer0_head1_output-weights 16×32',
      'store layer0_head1_output 128×32',
    ]);
    expect(rest).toEqual([
      'load layer0_ff0-weights 32×64',
      'store layer0_ff0 128×64',
      'load layer0_ff1-weights 64×32',
      'store layer0_ff1 128×32',
    ]);
  });

  test('compute: non-linearities have the size of the product’s input, weights the batch dimension', () => {
    const [heads, ...rest] = computeOf(nano);
    expect(heads![0]).toEqual([
      'matmul layer0_head0_q 128×32 · 32×16',
      'matmul layer0_head0_k 128×32 · 32×16',
      'matmul layer0_head0_v 128×32 · 32×16',
      'matmul layer0_head0_scores 128×16 · 16×128',
      'softmax layer0_head0_softmax 128×128',
      'matmul layer0_head0_context 128×128 · 128×16',
      'matmul layer0_head0_output 128×16 · 16×32',
    ]);
    expect(rest).toEqual([
      'layer-norm layer0_norm1 128×32',
      'matmul layer0_ff0 128×32 · 32×64',
      'non-linearity layer0_ff0_activation 128×32',
      'matmul layer0_ff1 128×64 · 64×32',
      'non-linearity layer0_ff1_activation 128×64',
      'layer-norm layer0_norm2 128×32',
    ]);
    const { memory } = publishedOperations(nano, sizes, 'inference');
    for (const entry of memory.slice(1)) {
      for (const { dims } of isHeads(entry) ? entry.heads.flat() : [entry]) expect(dims[0]).toBe(BATCH);
    }
  });

  test('a head waits for its own data', () => {
    const { compute } = publishedOperations(withHeads({ kind: 'wma', dim: DIM }), sizes, 'inference');
    const [heads] = compute;
    if (!heads || !isHeads(heads)) throw new TypeError('the first step is a layer’s heads');
    const requires = Object.fromEntries(heads.heads[0]!.map((operation) => [operation.name, operation.requires]));
    const name = (what: string) => `layer0_head0_${what}`;
    expect(requires).toEqual({
      [name('q')]: [name('q-weights')],
      [name('k')]: [name('k-weights')],
      [name('v')]: [name('v-weights')],
      [name('wma')]: ['wma-weights', 'k', 'q', 'v'].map(name),
      [name('scores')]: ['q', 'k', 'v'].map(name),
      [name('softmax')]: ['scores', 'v'].map(name),
      [name('context')]: ['v', 'softmax'].map(name),
      [name('output')]: ['output-weights', 'context'].map(name),
    });
  });

  test('a wma head weighs its keys and stores them under the keys’ name again', () => {
    const architecture = withHeads({ kind: 'wma', dim: DIM }, sdp);
    const [memory] = headsOf(memoryOf(architecture));
    expect(memory!.slice(5, 9)).toEqual([
      'store layer0_head0_v 128×16',
      'load layer0_head0_wma-weights 16×16',
      'store layer0_head0_k 128×16',
      'store layer0_head0_scores 128×128',
    ]);
    expect(headsOf(computeOf(architecture))[0]![3]).toBe('matmul layer0_head0_wma 16×16 · 16×128');
  });

  test('convolutions load their kernels, transforms a square matrix; both act on the whole width', () => {
    const architecture = withHeads({ kind: 'conv', dim: DIM, kernel: 9 }, { kind: 'dct', dim: DIM });
    expect(headsOf(memoryOf(architecture))).toEqual([
      ['load layer0_head0_conv-weights 9×32', 'store layer0_head0_conv 128×32'],
      ['load layer0_head1_transform-weights 128×128', 'store layer0_head1_transform 128×32'],
    ]);
    expect(headsOf(computeOf(architecture))).toEqual([
      ['conv layer0_head0_conv 128×32'],
      ['matmul layer0_head1_transform 128×128 · 128×32'],
    ]);
  });

  test('a projection with non-linearity stands where the width changes, and only there', () => {
    const layer = nano.layers[0]!;
    const wide = { ...layer, hidden: 64 };
    const compute = computeOf({ ...nano, layers: [layer, layer, wide] });
    expect(compute.filter((entry) => typeof entry === 'string' && entry.includes('projection'))).toEqual([
      'matmul layer1_projection 128×32 · 32×64',
      'non-linearity layer1_projection_activation 128×32',
    ]);
  });

  test('each store bears the name of what makes it; each requirement is loaded or stored', () => {
    const heads: HeadOperation[] = [
      sdp,
      { kind: 'wma', dim: 8 },
      { kind: 'dft', dim: 4 },
      { kind: 'conv', dim: 4, kernel: 5 },
    ];
    const { memory, compute } = publishedOperations(withHeads(...heads), sizes, 'training');
    const steps = memory.flatMap((entry) => (isHeads(entry) ? entry.heads.flat() : [entry]));
    const operations = compute.flatMap((entry) => (isHeads(entry) ? entry.heads.flat() : [entry]));
    const made = new Set(operations.map(({ name }) => name));
    for (const { kind, name } of steps) if (kind === 'store') expect(made).toContain(name);
    const there = new Set(steps.map(({ name }) => name));
    for (const { requires } of operations) for (const name of requires) expect(there).toContain(name);
  });
});

describe('backward operations', () => {
  const backward = (architecture: TransformerArchitecture) => ({
    memory: memoryOf(architecture, 'training').slice(memoryOf(architecture).length),
    compute: computeOf(architecture, 'training').slice(computeOf(architecture).length),
  });

  test('follow the forward ones in reverse; norms and non-linearities are repeated', () => {
    const { memory, compute } = backward(nano);
    expect(compute.slice(0, -1)).toEqual([
      'layer-norm layer0_norm2 128×32',
      'non-linearity layer0_ff1_activation 128×64',
      'matmul layer0_ff1-gradient 64×128 · 128×32',
      'non-linearity layer0_ff0_activation 128×32',
      'matmul layer0_ff0-gradient 32×128 · 128×64',
      'layer-norm layer0_norm1 128×32',
    ]);
    expect(memory.slice(0, -1)).toEqual(['store layer0_ff1-gradient 64×32', 'store layer0_ff0-gradient 32×64']);
  });

  test('products of a head, and the gradients that it stores', () => {
    const { memory, compute } = backward(withHeads({ kind: 'wma', dim: DIM }));
    expect(headsOf(compute)[0]!.map((text) => text.replace(/^matmul layer0_head0_/, ''))).toEqual([
      'output-gradient 16×128 · 128×32',
      'context-delta 128×32 · 32×16',
      'context-gradient 128×128 · 128×16',
      'scores-k-delta 128×16 · 16×128',
      'scores-k-gradient 16×128 · 128×128',
      'scores-q-delta 16×128 · 128×16',
      'scores-q-gradient 128×16 · 16×16',
      'wma-delta 16×128 · 128×128',
      'wma-gradient 16×128 · 128×16',
      'q-delta 16×16 · 16×128',
      'q-gradient 32×128 · 128×16',
      'k-delta 128×128 · 128×16',
      'k-gradient 32×128 · 128×16',
      'v-delta 128×16 · 16×128',
      'v-gradient 32×128 · 128×128',
    ]);
    expect(headsOf(memory)[0]!.map((text) => text.replace(/^store layer0_head0_/, ''))).toEqual([
      'output-gradient 16×32',
      'context-gradient 128×16',
      'scores-k-gradient 16×128',
      'scores-q-gradient 128×16',
      'wma-gradient 16×16',
      'q-gradient 32×16',
      'k-gradient 32×16',
      'v-gradient 32×16',
    ]);
  });

  test('products chain: the inner sizes agree', () => {
    const architecture = withHeads(sdp, { kind: 'wma', dim: DIM });
    for (const entry of publishedOperations(architecture, sizes, 'training').compute) {
      for (const { left, right } of isHeads(entry) ? entry.heads.flat() : [entry]) {
        if (right) expect([right[0], right[1]]).toEqual([left[0], left[2]]);
      }
    }
  });

  test('a convolution becomes one with a kernel as long as the sequence; transforms vanish', () => {
    const architecture = withHeads({ kind: 'dft', dim: DIM }, { kind: 'conv', dim: DIM, kernel: 5 });
    const { memory, compute } = backward(architecture);
    expect(headsOf(memory)).toEqual([['store layer0_head1_conv-gradient 5×32']]);
    expect(headsOf(compute)).toEqual([['conv layer0_head1_conv-gradient 128×32']]);
    const last = publishedOperations(architecture, sizes, 'training').compute.at(-1)!;
    expect(isHeads(last) && last.heads[0]![0]!.kernel).toBe(TOKENS);
  });

  test('gradients of weights overwrite them in the weight buffer', () => {
    const { memory } = publishedOperations(nano, sizes, 'training');
    const gradients = memory
      .flatMap((entry) => (isHeads(entry) ? entry.heads.flat() : [entry]))
      .filter(({ overwrite }) => overwrite);
    expect(gradients).toHaveLength(2 + 2 * 7);
    for (const { kind, buffer } of gradients) expect([kind, buffer]).toEqual(['store', 'weight']);
  });
});

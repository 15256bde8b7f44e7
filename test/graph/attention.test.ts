import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GraphBuilder } from '../../src/graph/builder.js';
import { findAttention, fusedAttention } from '../../src/graph/patterns/attention.js';
import { floatTensor, type Graph } from '../../src/graph/types.js';
import { checkMeaning, only } from './attention-meaning.js';

const [HEADS, HEAD_DIM, WIDTH] = [2, 4, 8];

/** A factor of the scale: where it is applied, and how it is written. */
interface Factor {
  readonly place: 'query' | 'key' | 'keyTransposed' | 'scores' | 'maskedScores';
  readonly how: 'multiply' | 'multiply from the left' | 'divide' | 'divide by a root' | 'from a shape';
  readonly factor: number;
}

interface Variant {
  readonly factors?: readonly Factor[];
  readonly mask?: 'none' | 'add' | 'add from the left' | 'where' | 'subtract';
  /** The split into heads and the transpose of the keys in one Transpose, as PyTorch's exporter folds them. */
  readonly mergedTranspose?: boolean;
  readonly layers?: number;
}

function scaled(b: GraphBuilder, value: string, { how, factor }: Factor): string {
  switch (how) {
    case 'multiply':
      return b.mul(value, b.constant(factor));
    case 'multiply from the left':
      return b.mul(b.constant(floatTensor([factor], [1])), value);
    case 'divide':
      return b.div(value, b.constant(1 / factor));
    case 'divide by a root':
      return b.div(value, b.op('Sqrt', [b.constant(1 / factor ** 2)]));
    case 'from a shape': {
      // factor = rest / √HEADS, where HEADS is read from the value's shape as exporters do with the head dimension
      const heads = b.op('Slice', [b.op('Shape', [value]), b.ints([1]), b.ints([2])]);
      const root = b.op('Pow', [b.cast(heads, 'float32'), b.constant(-0.5)]);
      return b.mul(b.mul(value, root), b.constant(factor * Math.sqrt(HEADS)));
    }
  }
}

function masked(b: GraphBuilder, scores: string, kind: Variant['mask']): string {
  const visible = b.op('Unsqueeze', ['mask', b.ints([1, 2])]);
  const lowered = b.mul(b.sub(b.constant(1), visible), b.constant(-1e4), 'lowered');
  switch (kind) {
    case 'add':
      return b.add(scores, lowered);
    case 'add from the left':
      return b.add(lowered, scores);
    case 'subtract':
      return b.sub(scores, b.op('Neg', [lowered]));
    case 'where':
      return b.op('Where', [b.cast(visible, 'bool'), scores, b.constant(-1e4)]);
    default:
      return scores;
  }
}

/** Attention layers over x [batch, tokens, WIDTH] with mask [batch, tokens]. */
function model({ factors = [], mask = 'none', mergedTranspose = false, layers = 1 }: Variant): Graph {
  const b = new GraphBuilder('attention');
  let x = b.input('x', 'float32', ['batch', 'tokens', WIDTH]);
  b.input('mask', 'float32', ['batch', 'tokens']);
  let seed = 0;
  const projected = () => {
    const weights = Array.from({ length: WIDTH * WIDTH }, () => Math.sin(++seed) / 2);
    return b.reshape(b.matmul(x, b.constant(floatTensor(weights, [WIDTH, WIDTH]))), [0, 0, HEADS, HEAD_DIM]);
  };
  const at = (place: Factor['place'], value: string) =>
    factors.filter((factor) => factor.place === place).reduce((result, factor) => scaled(b, result, factor), value);
  for (let layer = 0; layer < layers; layer++) {
    const query = at('query', b.transpose(projected(), [0, 2, 1, 3]));
    const key = mergedTranspose
      ? at('key', b.transpose(projected(), [0, 2, 3, 1]))
      : b.transpose(at('key', b.transpose(projected(), [0, 2, 1, 3])), [0, 1, 3, 2]);
    const scores = at('scores', b.matmul(query, at('keyTransposed', key), 'raw'));
    const probabilities = b.softmax(at('maskedScores', masked(b, scores, mask)), -1, 'probabilities');
    const context = b.matmul(probabilities, b.transpose(projected(), [0, 2, 1, 3]), 'context');
    x = b.reshape(b.transpose(context, [0, 2, 1, 3]), [0, 0, WIDTH]);
  }
  b.output(x);
  return b.finish();
}

const FEEDS = {
  x: floatTensor(
    Array.from({ length: 2 * 3 * WIDTH }, (_, i) => Math.cos(i)),
    [2, 3, WIDTH],
  ),
  mask: floatTensor([1, 1, 0, 1, 1, 1], [2, 3]),
};

const factorsOf = fc.array(
  fc.record<Factor>({
    place: fc.constantFrom('query', 'key', 'keyTransposed', 'scores', 'maskedScores'),
    how: fc.constantFrom('multiply', 'multiply from the left', 'divide', 'divide by a root', 'from a shape'),
    factor: fc.constantFrom(0.25, 0.5, Math.SQRT1_2, 2, 1.5),
  }),
  { maxLength: 5 },
);
const variants = fc.record<Variant>({
  factors: factorsOf,
  mask: fc.constantFrom('none', 'add', 'add from the left', 'where', 'subtract'),
  mergedTranspose: fc.boolean(),
});

describe('the scale', () => {
  test('is the product of all factors, wherever and however they are applied', () => {
    fc.assert(
      fc.property(variants, (variant) => {
        const { scale, operandScale, effectiveScale } = only(findAttention(model(variant)));
        const product = (places: readonly string[]) =>
          variant.factors!.reduce((total, { place, factor }) => (places.includes(place) ? total * factor : total), 1);
        expect(operandScale).toBeCloseTo(product(['query', 'key', 'keyTransposed']), 5);
        expect(scale).toBeCloseTo(product(['scores', 'maskedScores']), 5);
        expect(effectiveScale).toBeCloseTo(scale * operandScale, 5);
      }),
      { seed: 3 },
    );
  });

  test('and the other fields mean what they promise, in ONNX Runtime', async () => {
    await fc.assert(
      fc.asyncProperty(variants, async (variant) => {
        const graph = model(variant);
        await checkMeaning(graph, only(findAttention(graph)), FEEDS);
      }),
      { numRuns: 40, seed: 4 },
    );
  });
});

describe('the parts', () => {
  test('names and sizes of the plain case', () => {
    const graph = model({ factors: [{ place: 'scores', how: 'multiply', factor: 0.5 }], mask: 'add' });
    expect(only(findAttention(graph))).toMatchObject({
      layer: 0,
      source: 'self',
      rawScores: 'raw',
      keyLayout: 'tokens-dim',
      mask: 'lowered',
      probabilities: 'probabilities',
      contextProbabilities: 'probabilities',
      context: 'context',
      heads: HEADS,
      headDim: HEAD_DIM,
    });
  });

  test('a merged transpose leaves the keys as [batch, heads, dim, tokens]', () => {
    const graph = model({ mergedTranspose: true });
    const { key, keyLayout } = only(findAttention(graph));
    expect(keyLayout).toBe('dim-tokens');
    expect(graph.types.get(key)!.shape).toEqual(['batch', HEADS, HEAD_DIM, 'tokens']);
  });

  test('only a mask that is simply added has a name of its own', () => {
    const after: Factor = { place: 'maskedScores', how: 'multiply', factor: 2 };
    const mask = (variant: Variant) => only(findAttention(model(variant))).mask;
    expect(mask({ mask: 'add from the left' })).toBe('lowered');
    expect(mask({ mask: 'none' })).toBeUndefined();
    expect(mask({ mask: 'where' })).toBeUndefined();
    expect(mask({ mask: 'add', factors: [after] })).toBeUndefined();
  });

  test('layers count in topological order', () => {
    const blocks = findAttention(model({ layers: 3 }));
    expect(blocks.map(({ layer }) => layer)).toEqual([0, 1, 2]);
    expect(blocks.map(({ context }) => context)).toEqual(['context', 'context_1', 'context_2']);
  });
});

describe('what is not attention', () => {
  test('a classifier, and a product of probabilities with weights', () => {
    const b = new GraphBuilder('classifier');
    const x = b.input('x', 'float32', ['batch', 4]);
    const logits = b.op('Gemm', [x, b.constant(floatTensor(new Array(12).fill(1), [4, 3]))]);
    const mixed = b.matmul(b.softmax(logits, -1), b.constant(floatTensor([1, 2, 3], [3, 1])));
    b.output(mixed);
    expect(findAttention(b.finish())).toEqual([]);
  });

  test('a softmax over another axis', () => {
    const b = new GraphBuilder('columns');
    const [q, k, v] = ['q', 'k', 'v'].map((name) => b.input(name, 'float32', ['batch', 5, 5]));
    b.output(b.matmul(b.softmax(b.matmul(q!, k!), 1), v!));
    expect(findAttention(b.finish())).toEqual([]);
  });

  test('fused attention is reported with a remedy', () => {
    const b = new GraphBuilder('fused');
    const x = b.input('x', 'float32', ['batch', 'tokens', 8]);
    b.node('Attention', [x], 1, {}, 'y', 'com.microsoft');
    const error = only(fusedAttention(b.finish()));
    expect(error.code).toBe('TANDEM_FUSED_ATTENTION');
    expect(error.place).toBe('node "y_node"');
    expect(error.remedy).toContain('without attention fusion');
    expect(fusedAttention(model({}))).toEqual([]);
  });
});

/** Models that hide later tokens, and who refuses them. */
import { describe, expect, test } from 'vitest';
import { GraphBuilder } from '../../src/graph/builder.js';
import { findAttention } from '../../src/graph/patterns/attention.js';
import { type Graph, tensor } from '../../src/graph/types.js';
import { buildBert, freshBertWeights } from '../../src/models/bert.js';
import * as blocks from '../../src/models/blocks.js';
import { buildFlexibert, freshFlexibertWeights } from '../../src/models/flexibert.js';
import { buildGpt2, freshGpt2Weights } from '../../src/models/gpt2.js';
import { normalWeights } from '../../src/models/weights.js';
import { isCausal } from '../../src/techniques/causal.js';
import { dtqatten } from '../../src/techniques/dtqatten.js';
import { dtqattenOptions } from '../../src/techniques/dtqatten-options.js';
import { spatten } from '../../src/techniques/spatten.js';
import { spattenOptions } from '../../src/techniques/spatten-options.js';
import { attentionModel, type Mask } from './attention-model.js';

const sizes = { layers: 2, hidden: 8, heads: 2, intermediate: 16, vocabulary: 12, epsilon: 1e-5 };
const gpt2 = buildGpt2({ ...sizes, context: 12, activation: 'gelu' }, freshGpt2Weights(1, 2)).graph;
const bert = buildBert({ ...sizes, positions: 12, segments: 2, activation: 'gelu' }, freshBertWeights(1), 2).graph;
const flexibert = buildFlexibert(
  {
    name: 'mixed',
    vocabulary: 12,
    tokens: 12,
    layers: [
      {
        hidden: 8,
        heads: [
          { kind: 'sdp', dim: 4 },
          { kind: 'wma', dim: 4 },
        ],
        feedForward: [12],
      },
      { hidden: 8, heads: [{ kind: 'sdp', dim: 4 }], feedForward: [12] },
    ],
  },
  freshFlexibertWeights(2),
  2,
).graph;

/** Two layers under a mask of 0 and 1 that is held as a constant for the longest text. */
function withConstantMask(seen: (query: number, key: number) => boolean): Graph {
  const b = new GraphBuilder('constant');
  const fresh = normalWeights(3, 0.6);
  const ids = b.input('input_ids', 'int64', ['batch', 4]);
  b.input('attention_mask', 'float32', ['batch', 4]);
  const scores = Float32Array.from({ length: 16 }, (_, at) => (seen(Math.floor(at / 4), at % 4) ? 0 : -1e9));
  const bias = b.constant(tensor('float32', [1, 1, 4, 4], scores));
  let x = b.op('Gather', [b.initializer('words', fresh([12, 8])), ids]);
  for (let layer = 0; layer < 2; layer++) {
    x = blocks.selfAttention(
      b,
      (_, shape) => fresh(shape),
      x,
      bias,
      { from: 8, heads: 2, dim: 4, to: 8 },
      `layer${layer}`,
    );
  }
  b.output(b.op('Identity', [x], {}, 'out'));
  return b.finish();
}

const causal = (graph: Graph) => findAttention(graph).map((block) => isCausal(graph, block));

describe('causal attention', () => {
  test('is seen in however it is written', () => {
    expect(causal(gpt2)).toEqual([true, true]);
    expect(causal(attentionModel({ heads: 2, dim: 4, mask: 'causal' }))).toEqual([true]);
    expect(causal(withConstantMask((query, key) => key <= query))).toEqual([true, true]);
  });

  test('is not seen in masks of padding or of distance, or in constants that are no triangle', () => {
    for (const graph of [bert, flexibert]) expect(new Set(causal(graph))).toEqual(new Set([false]));
    for (const mask of ['none', 'add', 'where', 'local'] satisfies Mask[])
      expect(causal(attentionModel({ heads: 2, dim: 4, mask }))).toEqual([false]);
    expect(causal(withConstantMask(() => true))).toEqual([false, false]);
    expect(causal(withConstantMask((query, key) => Math.abs(query - key) < 2))).toEqual([false, false]);
  });
});

describe('importance over a whole text', () => {
  const unsupported = expect.objectContaining({ code: 'TANDEM_MODEL_UNSUPPORTED', place: 'attention layer 0' });

  test('is refused for models that do not see all of it yet', () => {
    expect(() => dtqatten.forInference(gpt2, dtqattenOptions.parse({}))).toThrow(unsupported);
    expect(() => dtqatten.forInference(gpt2, dtqattenOptions.parse({ decoder: true }))).not.toThrow();
    expect(() => spatten.calibrated(gpt2, spattenOptions.parse({}))).toThrow(unsupported);
  });

  test('does not matter where there is one layer: nothing is ranked', () => {
    const one = buildGpt2({ ...sizes, layers: 1, context: 12, activation: 'gelu' }, freshGpt2Weights(1, 1)).graph;
    expect(() => spatten.calibrated(one, spattenOptions.parse({}))).not.toThrow();
    expect(() => dtqatten.forInference(one, dtqattenOptions.parse({}))).not.toThrow();
  });
});

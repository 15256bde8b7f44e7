/** Early exit as a graph, against decoding token by token in plain arithmetic. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { floatTensor, int64Tensor } from '../../src/graph/types.js';
import { buildGpt2, freshGpt2Weights, type Gpt2Config } from '../../src/models/gpt2.js';
import { normalWeights } from '../../src/models/weights.js';
import { referenceSteps } from '../../src/simulator/toex-reference.js';
import { EMITTED, EXITS, thresholdFeeds, toexRewrite } from '../../src/techniques/toex.js';
import { NO_CHECK } from '../../src/techniques/toex-calibration.js';
import { decodeReference, type ReferenceDecoder } from '../../src/techniques/toex-reference.js';
import { load } from '../graph/gradient-check.js';
import { exitsRecord } from '../simulator/toex-trace.js';

const config: Gpt2Config = {
  layers: 4,
  hidden: 8,
  heads: 2,
  intermediate: 16,
  vocabulary: 13,
  context: 8,
  epsilon: 1e-5,
  activation: 'relu',
};
// Wide weights, so that exits differ and are sure of something.
const wide = normalWeights(3, 0.5);
const fresh = freshGpt2Weights(1, config.layers);
const { graph } = buildGpt2(config, (name, shape) => (shape.length === 2 ? wide(shape) : fresh(name, shape)));
const reference: ReferenceDecoder = {
  layers: config.layers,
  heads: config.heads,
  epsilon: config.epsilon,
  weight(name) {
    const { data, shape } = graph.initializers.get(name)!;
    return { data: data as Float32Array, shape };
  },
};
const options = { candidates: 5, confidence: 'gap', outputEmbedding: 'light', backFill: 'lazy' } as const;
const texts = fc.array(fc.nat(12), { minLength: 1, maxLength: 8 });
const someThresholds = fc.array(fc.constantFrom(0, 0.1, 0.2, 0.35, 0.5, 0.8, NO_CHECK), { minLength: 3, maxLength: 3 });

const MODES = [
  { ...options, backFill: 'lazy' },
  { ...options, backFill: 'propagate' },
  { ...options, backFill: 'none' },
  { ...options, outputEmbedding: 'full', confidence: 'probability' },
] as const;

/** A confidence this near its threshold may fall on either side in single precision. */
const NEAR = 1e-4;

describe.each(MODES)('the rewritten decoder, %o', (mode) => {
  it('decides and says what decoding token by token does', async () => {
    const session = await load(toexRewrite(graph, mode, mode.backFill));
    await fc.assert(
      fc.asyncProperty(texts, someThresholds, async (ids, thresholds) => {
        const expected = decodeReference(reference, ids, thresholds, mode);
        const [below, above] = [-NEAR, NEAR].map((shift) =>
          decodeReference(
            reference,
            ids,
            thresholds.map((t) => (t === NO_CHECK ? t : t + shift)),
            mode,
          ),
        );
        fc.pre(below!.exits.join() === above!.exits.join());
        const found = await session({
          input_ids: int64Tensor(ids, [1, ids.length]),
          attention_mask: floatTensor(new Float32Array(ids.length).fill(1), [1, ids.length]),
          ...thresholdFeeds(thresholds),
        });
        expect(Array.from(found[EXITS]!.data as BigInt64Array, Number)).toEqual(expected.exits);
        expect(Array.from(found[EMITTED]!.data as BigInt64Array, Number)).toEqual(expected.emitted);
        const logits = found['toex.logits']!.data as Float32Array;
        for (const [i, value] of expected.logits.flat().entries()) expect(logits[i]).toBeCloseTo(value, 3);
      }),
      { numRuns: 40 },
    );
  });
});

describe('lazy back-fill', () => {
  it('gives every token the keys and values that it has when all tokens run all layers', () => {
    fc.assert(
      fc.property(texts, someThresholds, (ids, thresholds) => {
        const early = decodeReference(reference, ids, thresholds, options);
        const whole = decodeReference(reference, ids, [NO_CHECK, NO_CHECK, NO_CHECK], options);
        for (const [layer, own] of early.cache.entries()) {
          for (const [position, entry] of own.entries()) expect(entry).toEqual(whole.cache[layer]![position]);
        }
      }),
    );
  });

  it('never runs more layers than no exit, and leaves a run of pending tokens at the end of each layer', () => {
    fc.assert(
      fc.property(texts, someThresholds, (ids, thresholds) => {
        const { tokenLayers, exits, cache } = decodeReference(reference, ids, thresholds, options);
        const ran = tokenLayers.reduce((sum, layers) => sum + layers, 0);
        expect(ran).toBeLessThanOrEqual(ids.length * config.layers);
        // Each layer has run for as many tokens, from the first on, as there are up to the last that went so deep.
        for (const [layer, own] of cache.entries()) {
          const deepest = exits.findLastIndex((exit) => exit > layer);
          expect(own.filter((entry) => entry !== undefined)).toHaveLength(deepest + 1);
          expect(own).toHaveLength(deepest + 1);
        }
      }),
    );
  });

  it('runs at each step what the machine for it counts', () => {
    fc.assert(
      fc.property(texts, someThresholds, (ids, thresholds) => {
        const { exits, tokenLayers } = decodeReference(reference, ids, thresholds, options);
        const counted = referenceSteps(exitsRecord(config.layers, exits), 'lazy');
        expect(tokenLayers).toEqual(counted.map((step) => step.tokenLayers));
      }),
    );
  });

  it('is what the other two are not: exact', async () => {
    const ids = [3, 1, 4, 1, 5, 9, 2, 6];
    const thresholds = [0.5, 0.5, NO_CHECK];
    const logits = (backFill: 'lazy' | 'propagate' | 'none') =>
      decodeReference(reference, ids, thresholds, { ...options, backFill }).logits.flat();
    expect(logits('propagate')).not.toEqual(logits('lazy'));
    expect(logits('none')).not.toEqual(logits('lazy'));
  });
});

/** What every exit says, against plain arithmetic over the hidden states that ONNX Runtime gives. */
import { describe, expect, it } from 'vitest';
import { GraphIndex, replaceInput, withOutputs } from '../../src/graph/edit.js';
import { floatTensor, int64Tensor } from '../../src/graph/types.js';
import { buildGpt2, freshGpt2Weights, type Gpt2Config } from '../../src/models/gpt2.js';
import { normalWeights } from '../../src/models/weights.js';
import { exitProfile, joinProfiles } from '../../src/techniques/toex-profile.js';
import { run, type Values } from '../graph/runtime.js';
import { attentionModel } from './attention-model.js';

const config: Gpt2Config = {
  layers: 3,
  hidden: 8,
  heads: 2,
  intermediate: 16,
  vocabulary: 13,
  context: 6,
  epsilon: 1e-5,
  activation: 'gelu',
};
// Wide weights, so that exits differ and are sure of something.
const wide = normalWeights(3, 0.6);
const fresh = freshGpt2Weights(1, config.layers);
const decoder = buildGpt2(config, (name, shape) => (shape.length === 2 ? wide(shape) : fresh(name, shape)));
const feeds = {
  input_ids: int64Tensor([3, 1, 4, 1, 5, 9, 2, 6], [2, 4]),
  attention_mask: floatTensor(new Float32Array(8).fill(1), [2, 4]),
  targets: int64Tensor([1, 4, 1, 5, 2, 6, 5, 3], [2, 4]),
};

const softmax = (logits: readonly number[]): number[] => {
  const most = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - most));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
};
const descending = (values: readonly number[]): number[] =>
  values.map((_, i) => i).sort((a, b) => values[b]! - values[a]! || a - b);

/** One token at one exit, from its hidden state, in double precision. */
function expected(hidden: readonly number[], candidates: number, target: number) {
  const mean = hidden.reduce((sum, x) => sum + x, 0) / hidden.length;
  const variance = hidden.reduce((sum, x) => sum + (x - mean) ** 2, 0) / hidden.length;
  const normed = hidden.map((x) => (x - mean) / Math.sqrt(variance + config.epsilon));
  const embedding = decoder.graph.initializers.get('embedding.word.weight')!.data as Float32Array;
  const rows = Array.from({ length: config.vocabulary }, (_, v) => [...embedding.subarray(v * 8, v * 8 + 8)]);
  const dot = (row: readonly number[]) => row.reduce((sum, w, i) => sum + w * normed[i]!, 0);
  const coarse = rows.map((row) => {
    const scale = row.reduce((sum, w) => sum + Math.abs(w), 0) / row.length;
    return scale * dot(row.map((w) => (w >= 0 ? 1 : -1)));
  });
  const logits = rows.map(dot);
  const picked = descending(coarse).slice(0, candidates);
  const light = softmax(picked.map((v) => logits[v]!));
  const [first, second] = descending(light) as [number, number];
  const full = softmax(logits);
  const [best, next] = descending(full) as [number, number];
  return {
    confidence: light[first]! - light[second]!,
    fullConfidence: full[best]! - full[next]!,
    likelihood: Math.log(full[target]!),
    token: picked[first]!,
    fullToken: best,
  };
}

describe('an exit profile', () => {
  it.each([2, 5, 13])('with %i candidates is what the definition says', async (candidates) => {
    const rewrite = exitProfile(decoder.graph, { candidates, confidence: 'gap' });
    const profile = rewrite.profile(await run(rewrite.graph, feeds));
    const layers = Array.from({ length: 3 }, (_, layer) => `layer${layer}.output`);
    const hidden: Values = await run(withOutputs(decoder.graph, layers), {
      input_ids: feeds.input_ids,
      attention_mask: feeds.attention_mask,
    });
    expect({ layers: profile.layers, tokens: profile.tokens }).toEqual({ layers: 3, tokens: 8 });
    for (let token = 0; token < 8; token++) {
      for (const [layer, name] of layers.entries()) {
        const state = [...(hidden[name]!.data as Float32Array).subarray(token * 8, token * 8 + 8)];
        const target = Number((feeds.targets.data as BigInt64Array)[token]);
        const found = expected(state, candidates, target);
        const at = token * 3 + layer;
        expect(profile.confidence[at]).toBeCloseTo(found.confidence, 4);
        expect(profile.fullConfidence[at]).toBeCloseTo(found.fullConfidence, 4);
        expect(profile.likelihood[at]).toBeCloseTo(found.likelihood, 3);
        expect(profile.token[at]).toBe(found.token);
        expect(profile.fullToken[at]).toBe(found.fullToken);
      }
    }
  });

  it('with the whole vocabulary as candidates decides as the full output embedding', async () => {
    const rewrite = exitProfile(decoder.graph, { candidates: 13, confidence: 'probability' });
    const profile = rewrite.profile(await run(rewrite.graph, feeds));
    expect([...profile.token]).toEqual([...profile.fullToken]);
    for (const [i, value] of profile.confidence.entries()) expect(value).toBeCloseTo(profile.fullConfidence[i]!, 5);
  });

  it('of two halves joined is that of the whole', async () => {
    const rewrite = exitProfile(decoder.graph, { candidates: 4, confidence: 'gap' });
    const whole = rewrite.profile(await run(rewrite.graph, feeds));
    const half = async (row: number) => {
      const ids = (data: unknown) =>
        int64Tensor([...(data as BigInt64Array).slice(4 * row, 4 * row + 4)].map(Number), [1, 4]);
      return rewrite.profile(
        await run(rewrite.graph, {
          input_ids: ids(feeds.input_ids.data),
          attention_mask: floatTensor(new Float32Array(4).fill(1), [1, 4]),
          targets: ids(feeds.targets.data),
        }),
      );
    };
    const joined = joinProfiles([await half(0), await half(1)]);
    expect(joined.tokens).toBe(8);
    expect([...joined.token]).toEqual([...whole.token]);
    for (const [i, value] of joined.likelihood.entries()) expect(value).toBeCloseTo(whole.likelihood[i]!, 5);
  });

  it('is refused for a model that is no decoder', () => {
    expect(() => exitProfile(attentionModel({ heads: 2, dim: 4 }), { candidates: 4, confidence: 'gap' })).toThrow(
      expect.objectContaining({ code: 'TANDEM_MODEL_UNSUPPORTED' }),
    );
  });

  it('is refused for a model whose tokens see later ones', () => {
    const both = new GraphIndex(decoder.graph).producerOf('causal_bias')!;
    const graph = replaceInput(decoder.graph, 'causal_bias', both.inputs[0]!);
    expect(() => exitProfile(graph, { candidates: 4, confidence: 'gap' })).toThrow(
      expect.objectContaining({ code: 'TANDEM_MODEL_UNSUPPORTED' }),
    );
  });

  it('is refused for more candidates than there are tokens', () => {
    expect(() => exitProfile(decoder.graph, { candidates: 14, confidence: 'gap' })).toThrow(
      expect.objectContaining({ code: 'TANDEM_CONFIG_INVALID', place: 'technique.candidates' }),
    );
  });
});

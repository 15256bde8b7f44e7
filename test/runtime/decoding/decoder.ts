/** A small GPT-2 with random weights, cut into stages. */
import type { Tensor } from '../../../src/graph/types.js';
import { freshGpt2Weights, type Gpt2Config } from '../../../src/models/gpt2.js';
import { gpt2Stages } from '../../../src/models/gpt2-stages.js';
import { DecoderSessions } from '../../../src/runtime/decoding/sessions.js';

export const config: Gpt2Config = {
  layers: 4,
  hidden: 24,
  heads: 3,
  intermediate: 96,
  vocabulary: 37,
  context: 40,
  epsilon: 1e-5,
  activation: 'gelu-tanh',
};

/** Random weights, one tensor for a name; large enough that softmax is not flat, and biases that are not 0. */
export function randomWeights(seed: number, layers: number) {
  const fresh = freshGpt2Weights(seed, layers);
  const made = new Map<string, Tensor>();
  return (name: string, shape: readonly number[]): Tensor => {
    let weight = made.get(name);
    if (!weight) {
      const like = fresh(name.replace(/bias$/, 'shift'), shape);
      const factor = name.endsWith('norm.weight') ? 1 : 10;
      weight = { ...like, data: (like.data as Float32Array).map((value) => factor * value) };
      made.set(name, weight);
    }
    return weight;
  };
}

export const weights = randomWeights(3, config.layers);
export const stages = gpt2Stages(config, weights);

export const sessionsWith = (threads: number, stops?: readonly number[]): Promise<DecoderSessions> =>
  DecoderSessions.create(stages, { threads, ...(stops && { stops }) });

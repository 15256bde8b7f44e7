/**
 * Early exit in plain arithmetic, token by token, with a cache of keys and values for each layer and a table of depths: what
 * the rewritten graph and the decoding engine are held against. Slow and in double precision.
 */
import type { BackFill, CheckOptions } from './toex.js';
import { NO_CHECK } from './toex-calibration.js';

/** A GPT-2 with ReLU, by the initializer names of `buildGpt2`. */
export interface ReferenceDecoder {
  readonly layers: number;
  readonly heads: number;
  readonly epsilon: number;
  /** Row-major values and shape of an initializer. */
  weight(name: string): { readonly data: ArrayLike<number>; readonly shape: readonly number[] };
}

export interface ReferenceDecoding {
  /** Layers that each token ran at its own step. */
  readonly exits: number[];
  /** The token that each step emits. */
  readonly emitted: number[];
  /** Logits of each token at its exit. */
  readonly logits: number[][];
  /** By layer, then position: key and value, or undefined where there are none. */
  readonly cache: ({ readonly key: number[]; readonly value: number[] } | undefined)[][];
  /** Layers that all tokens together ran, back-filled ones included; by step. */
  readonly tokenLayers: number[];
}

type Options = CheckOptions & { readonly backFill: BackFill };

/** @param thresholds one for each layer before the last */
export function decodeReference(
  decoder: ReferenceDecoder,
  ids: readonly number[],
  thresholds: readonly number[],
  options: Options,
): ReferenceDecoding {
  const { layers } = decoder;
  const cache: ReferenceDecoding['cache'] = Array.from({ length: layers }, () => []);
  /** Hidden state of each token behind the layers that it ran, and how many those are. */
  const states: number[][] = [];
  const depths: number[] = [];
  const result: ReferenceDecoding = { exits: [], emitted: [], logits: [], cache, tokenLayers: [] };
  for (const [step, id] of ids.entries()) {
    states.push(sum(row(decoder, 'embedding.word.weight', id), row(decoder, 'embedding.position.weight', step)));
    depths.push(0);
    let ran = 0;
    for (let layer = 0; layer < layers; layer++) {
      for (let token = 0; token <= step; token++) {
        const pending = options.backFill === 'lazy' ? depths[token] === layer : token === step;
        if (pending) {
          states[token] = runLayer(decoder, layer, states[token]!, token, cache[layer]!);
          depths[token] = layer + 1;
          ran++;
        } else if (options.backFill === 'propagate' && cache[layer]![token] === undefined) {
          cache[layer]![token] = keyAndValue(decoder, layer, states[token]!);
        }
      }
      const { confidence, token, logits } = check(decoder, states[step]!, layer === layers - 1, options);
      const threshold = thresholds[layer] ?? 0;
      if (layer < layers - 1 && (threshold === NO_CHECK || confidence < threshold)) continue;
      result.exits.push(layer + 1);
      result.emitted.push(token);
      result.logits.push(logits);
      break;
    }
    result.tokenLayers.push(ran);
  }
  return result;
}

/** One token through a layer; leaves its key and value in the cache. */
function runLayer(
  decoder: ReferenceDecoder,
  layer: number,
  state: number[],
  position: number,
  cache: ReferenceDecoding['cache'][number],
): number[] {
  const name = `layer${layer}`;
  cache[position] = keyAndValue(decoder, layer, state);
  const query = linear(decoder, `${name}.query`, norm(decoder, `${name}.attention.norm`, state));
  const dim = query.length / decoder.heads;
  const context = Array.from({ length: decoder.heads }, (_, head) => {
    const part = (values: readonly number[]) => values.slice(head * dim, (head + 1) * dim);
    const seen = cache.slice(0, position + 1).filter((one) => one !== undefined);
    const weights = softmax(seen.map(({ key }) => dot(part(query), part(key)) / Math.sqrt(dim)));
    return Array.from({ length: dim }, (_, i) =>
      weights.reduce((total, weight, j) => total + weight * part(seen[j]!.value)[i]!, 0),
    );
  }).flat();
  const middle = sum(state, linear(decoder, `${name}.projection`, context));
  const wide = linear(decoder, `${name}.ffn.expand`, norm(decoder, `${name}.ffn.norm`, middle));
  const fed = linear(
    decoder,
    `${name}.ffn.contract`,
    wide.map((value) => Math.max(0, value)),
  );
  return sum(middle, fed);
}

function keyAndValue(decoder: ReferenceDecoder, layer: number, state: number[]) {
  const normed = norm(decoder, `layer${layer}.attention.norm`, state);
  return {
    key: linear(decoder, `layer${layer}.key`, normed),
    value: linear(decoder, `layer${layer}.value`, normed),
  };
}

function check(decoder: ReferenceDecoder, state: number[], last: boolean, options: Options) {
  const normed = norm(decoder, 'final.norm', state);
  const vocabulary = decoder.weight('embedding.word.weight').shape[0]!;
  const rows = Array.from({ length: vocabulary }, (_, token) => row(decoder, 'embedding.word.weight', token));
  const logits = rows.map((weights) => dot(weights, normed));
  const coarse = rows.map((weights) => {
    const mean = weights.reduce((total, weight) => total + Math.abs(weight), 0) / weights.length;
    return mean * weights.reduce((total, weight, i) => total + (weight < 0 ? -normed[i]! : normed[i]!), 0);
  });
  const everything = last || options.outputEmbedding === 'full';
  const candidates = descending(everything ? logits : coarse).slice(0, everything ? vocabulary : options.candidates);
  const probabilities = softmax(candidates.map((token) => logits[token]!));
  const [first, second] = descending(probabilities) as [number, number];
  const gap = options.confidence === 'gap' ? probabilities[second]! : 0;
  return { confidence: probabilities[first]! - gap, token: candidates[first]!, logits };
}

const sum = (a: readonly number[], b: readonly number[]): number[] => a.map((value, i) => value + b[i]!);
const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((total, value, i) => total + value * b[i]!, 0);
const descending = (values: readonly number[]): number[] =>
  values.map((_, i) => i).sort((a, b) => values[b]! - values[a]! || a - b);

function softmax(logits: readonly number[]): number[] {
  const most = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - most));
  const total = powers.reduce((all, power) => all + power, 0);
  return powers.map((power) => power / total);
}

function row(decoder: ReferenceDecoder, name: string, index: number): number[] {
  const { data, shape } = decoder.weight(name);
  return Array.from({ length: shape[1]! }, (_, i) => data[index * shape[1]! + i]!);
}

function linear(decoder: ReferenceDecoder, name: string, x: readonly number[]): number[] {
  const { data, shape } = decoder.weight(`${name}.weight`);
  const bias = decoder.weight(`${name}.bias`).data;
  const to = shape[1]!;
  return Array.from({ length: to }, (_, j) =>
    x.reduce((total, value, i) => total + value * data[i * to + j]!, bias[j]!),
  );
}

function norm(decoder: ReferenceDecoder, name: string, x: readonly number[]): number[] {
  const mean = x.reduce((total, value) => total + value, 0) / x.length;
  const variance = x.reduce((total, value) => total + (value - mean) ** 2, 0) / x.length;
  const [scale, shift] = [decoder.weight(`${name}.weight`).data, decoder.weight(`${name}.bias`).data];
  return x.map((value, i) => ((value - mean) / Math.sqrt(variance + decoder.epsilon)) * scale[i]! + shift[i]!);
}

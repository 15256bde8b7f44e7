/** How the next token is chosen. */
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import type { Choices } from './exit-types.js';

export interface Sampling {
  /** Logits are divided by it; 0 always takes the likeliest token. */
  readonly temperature: number;
  /** Only as many of the likeliest tokens; default: all. */
  readonly topK?: number;
  /** Only the likeliest tokens that together are as probable as this (Holtzman et al., ICLR 2020); default: all. */
  readonly topP?: number;
}

export type Random = () => number;

/** Numbers from 0 to below 1; the same seed gives the same ones. */
export function seededRandom(seed: number): Random {
  const state = xoroshiro128plus(seed);
  return () => uniformFloat64(state);
}

/** The token that comes next; of equally likely ones the first. */
export function choose({ ids, logits }: Choices, { temperature, topK, topP = 1 }: Sampling, random: Random): number {
  const idAt = (place: number) => ids?.[place] ?? place;
  if (temperature === 0) return idAt(likeliest(logits));
  let places = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b);
  if (topK !== undefined) places = places.slice(0, topK);
  const highest = logits[places[0]!]!;
  const weights = places.map((place) => Math.exp((logits[place]! - highest) / temperature));
  const kept = nucleus(weights, topP);
  let left = random() * kept.reduce((sum, weight) => sum + weight, 0);
  const chosen = kept.findIndex((weight) => {
    left -= weight;
    return left < 0;
  });
  // Rounding may leave a rest behind the last one.
  return idAt(places[chosen < 0 ? kept.length - 1 : chosen]!);
}

function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let place = 1; place < logits.length; place++) if (logits[place]! > logits[best]!) best = place;
  return best;
}

/** The fewest first weights whose share reaches topP; never none. */
function nucleus(descending: readonly number[], topP: number): readonly number[] {
  const enough = topP * descending.reduce((sum, weight) => sum + weight, 0);
  let sum = 0;
  const last = descending.findIndex((weight) => {
    sum += weight;
    return sum >= enough;
  });
  return last < 0 ? descending : descending.slice(0, last + 1);
}

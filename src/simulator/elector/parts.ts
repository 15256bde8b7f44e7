/** Batches that are too large for the buffers, played in parts: as many sequences at a time as have room. */

import type { ElectorConfig } from './config.js';
import { playSteps } from './engine.js';
import type { Program } from './operations.js';
import type { Misfit, Played } from './played.js';
import { finish } from './stepwise.js';
import type { OperationCosts } from './tile-costs.js';

/** One play of the program, and how many parts of the batch it stands for. */
export interface PlayedPart {
  readonly played: Played;
  readonly sequences: number;
  readonly times: number;
}

export interface PartsRequest {
  readonly program: Program;
  readonly config: ElectorConfig;
  /** Sequences of the batch. */
  readonly sequences: number;
  /** What an earlier batch of the same run left in the weight buffer; undefined for the first. */
  readonly held?: readonly string[] | undefined;
  /** Costs of sequences first … first + count − 1. */
  costs(first: number, count: number): OperationCosts;
  /** Parts of one size cost the same: one play stands for all of them. */
  readonly alike: boolean;
}

/** Halves the number of sequences until the activations of one operation have room. */
export const playParts = (request: PartsRequest): PlayedPart[] | Misfit => finish(playPartsSteps(request));

/** The same in steps. */
export function* playPartsSteps(request: PartsRequest): Generator<void, PlayedPart[] | Misfit> {
  for (let count = request.sequences; ; count = Math.ceil(count / 2)) {
    const parts = yield* playBy(count, request);
    if (Array.isArray(parts)) return parts;
    // Weights and the embedding do not shrink with the batch.
    if (count === 1 || parts.buffer === 'weight' || parts.operation === 'embedding') return parts;
  }
}

function* playBy(count: number, request: PartsRequest): Generator<void, PlayedPart[] | Misfit> {
  const { program, config, sequences, alike } = request;
  const parts: PlayedPart[] = [];
  for (let first = 0; first < sequences; first += count) {
    const size = Math.min(count, sequences - first);
    const previous = parts.at(-1);
    // The first part of a run also loads the embedding, and weights that then stay.
    if (alike && previous && first >= 2 * count && previous.sequences === size) {
      parts[parts.length - 1] = { ...previous, times: previous.times + 1 };
      continue;
    }
    const held = previous?.played.held ?? request.held;
    const options = { embeddingResident: held !== undefined, held, keepWeights: true };
    const played = yield* playSteps(program, config, request.costs(first, size), options);
    if ('demandBits' in played) return played;
    parts.push({ played, sequences: size, times: 1 });
  }
  return parts;
}

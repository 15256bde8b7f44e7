/** A text of tokens as sequences for a decoder, each with the tokens that follow. */
import { TandemError } from '../../errors.js';
import { tensor } from '../../graph/types.js';
import type { Feeds } from '../../runtime/types.js';
import type { Tokens } from './prepare.js';

/** Whole sequences of a text; one more token must follow the last. @throws TANDEM_DATA_INVALID when there is none */
export function sequencesIn(text: Tokens, length: number): number {
  const sequences = Math.floor((text.length - 1) / length);
  if (sequences > 0) return sequences;
  throw new TandemError('TANDEM_DATA_INVALID', `The text has ${text.length} tokens; a sequence has ${length}.`, {
    place: 'text',
    remedy: 'Give more text, hold out a larger share of it, or use a decoder with a smaller context.',
  });
}

/** The feeds of sequences that divide a text from its start: `input_ids`, `attention_mask` and `targets`. */
export const sequenceFeeds = (text: Tokens, sequences: readonly number[], length: number): Feeds =>
  feedsAt(
    text,
    sequences.map((sequence) => sequence * length),
    length,
  );

/**
 * The same for training: wherever training stops, its examples lie spread evenly over the text, each cut at another place
 * (multiples of the golden ratio modulo 1).
 */
export function trainingFeeds(text: Tokens, examples: readonly number[], length: number): Feeds {
  sequencesIn(text, length);
  const places = text.length - length;
  const starts = examples.map((example) => Math.floor(places * ((example * GOLDEN) % 1)));
  return feedsAt(text, starts, length);
}

const GOLDEN = (Math.sqrt(5) - 1) / 2;

function feedsAt(text: Tokens, starts: readonly number[], length: number): Feeds {
  const ids = new BigInt64Array(starts.length * length);
  const targets = new BigInt64Array(starts.length * length);
  for (const [row, start] of starts.entries()) {
    for (let i = 0; i < length; i++) {
      ids[row * length + i] = BigInt(text[start + i]!);
      targets[row * length + i] = BigInt(text[start + i + 1]!);
    }
  }
  const shape = [starts.length, length];
  return {
    input_ids: tensor('int64', shape, ids),
    attention_mask: tensor('float32', shape, new Float32Array(ids.length).fill(1)),
    targets: tensor('int64', shape, targets),
  };
}

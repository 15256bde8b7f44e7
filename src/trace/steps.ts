/** Token bits of a text as a whole, or of the steps in which a decoder continues it. */
import type { TraceHeader } from './types.js';

/**
 * Key of TraceHeader.notes: with the value `steps`, each record of bits per token is one step of decoding, with the tokens that it sees;
 * the last of them is its query. Without it, a record is a whole text, in which each token that is left is a query and a key.
 */
export const DECODING_NOTE = 'decoding';

export const DECODING_STEPS = 'steps';

export const isDecoding = ({ notes }: Pick<TraceHeader, 'notes'>): boolean => notes[DECODING_NOTE] === DECODING_STEPS;

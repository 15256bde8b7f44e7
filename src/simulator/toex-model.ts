/** Sizes of the decoder that a trace of exits speaks of, in words. */
import { TandemError } from '../errors.js';
import { ARCHITECTURE_NOTE } from '../trace/matrices.js';
import type { TraceHeader } from '../trace/types.js';
import type { TransformerArchitecture, TransformerLayer } from '../workload/transformer.js';

/** One decoder layer: attention, then feed-forward products, each behind a layer norm, with biases. */
export interface DecoderLayer {
  /** Widths of the heads; keys and values are as wide as queries. */
  readonly heads: readonly number[];
  /** Their sum. */
  readonly attention: number;
  /** Widths from state to state: hidden, feed-forward stacks, hidden. */
  readonly feedForward: readonly number[];
  /** Weights and biases of the projections to queries; to keys and values; of the context; of each feed-forward product. */
  readonly queryWords: number;
  readonly keyValueWords: number;
  readonly contextWords: number;
  readonly feedForwardWords: readonly number[];
  /** All of them. Gains and offsets of the norms stay on the chip. */
  readonly words: number;
}

export interface Decoder {
  readonly layers: readonly DecoderLayer[];
  readonly hidden: number;
  readonly vocabulary: number;
}

/** @throws TANDEM_TRACE_INCONSISTENT without sizes; TANDEM_CONFIG_INVALID for a model that the machine does not run */
export function decoderOf({ notes, layers }: TraceHeader): Decoder {
  const architecture = parsed(notes[ARCHITECTURE_NOTE]);
  if (architecture.layers.length !== layers)
    throw inconsistent(
      `The trace has ${layers} layers, but its note on the architecture ${architecture.layers.length}.`,
    );
  const hidden = architecture.layers[0]?.hidden ?? 0;
  for (const [index, layer] of architecture.layers.entries()) {
    const place = `layer ${index + 1} of ${architecture.name}`;
    if (layer.hidden !== hidden || (layer.input ?? hidden) !== hidden)
      throw unsupported('States of different widths share no output embedding.', place);
    if (layer.heads.some(({ kind }) => kind !== 'sdp'))
      throw unsupported('The machine runs heads of dot products alone.', place);
  }
  return {
    layers: architecture.layers.map((layer) => decoderLayer(layer)),
    hidden,
    vocabulary: architecture.vocabulary,
  };
}

function decoderLayer({ hidden, heads, feedForward: stacks }: TransformerLayer): DecoderLayer {
  const widths = heads.map(({ dim }) => dim);
  const attention = sum(widths);
  const feedForward = [hidden, ...stacks, hidden];
  const product = (rows: number, columns: number) => (rows + 1) * columns;
  const layer = {
    heads: widths,
    attention,
    feedForward,
    queryWords: product(hidden, attention),
    keyValueWords: product(hidden, 2 * attention),
    contextWords: product(attention, hidden),
    feedForwardWords: feedForward.slice(1).map((columns, at) => product(feedForward[at]!, columns)),
  };
  return { ...layer, words: layer.queryWords + layer.keyValueWords + layer.contextWords + sum(layer.feedForwardWords) };
}

function parsed(note: string | undefined): TransformerArchitecture {
  if (note === undefined) throw inconsistent('The trace does not say the sizes of its model.');
  try {
    return JSON.parse(note) as TransformerArchitecture;
  } catch (cause) {
    throw inconsistent(`The note "${ARCHITECTURE_NOTE}" of the trace is not JSON.`, cause);
  }
}

export const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);

const inconsistent = (message: string, cause?: unknown): TandemError =>
  new TandemError('TANDEM_TRACE_INCONSISTENT', message, {
    remedy: `Record it from a decoder whose sizes Tandem knows; the header's note "${ARCHITECTURE_NOTE}" holds them.`,
    ...(cause === undefined ? {} : { cause }),
  });

const unsupported = (message: string, place: string): TandemError =>
  new TandemError('TANDEM_CONFIG_INVALID', message, { place, remedy: 'Use a decoder of the GPT-2 family.' });

/** Bits per token in a trace: shares by layer, and whole texts as examples. */
import type { TokenBitsRecord, TraceRecord } from './types.js';

/** Share of the tokens at each width, widths descending; of a layer with records by head, the mean over its heads. */
export interface LayerShares {
  readonly layer: number;
  readonly shares: readonly { readonly bits: number; readonly share: number }[];
}

/** Bits of every token of a sequence, by layer. */
export interface SequenceWidths {
  readonly sequence: number;
  readonly layers: readonly { readonly layer: number; readonly bits: readonly number[] }[];
}

export class TokenWidthStatistics {
  readonly #counts = new Map<number, Map<number, number>>();
  readonly #examples = new Map<number, Map<number, readonly number[]>>();

  /** @param wanted sequences that are kept whole */
  constructor(readonly wanted: ReadonlySet<number> = new Set()) {}

  add(record: TraceRecord): void {
    if (record.kind !== 'token-bits') return;
    const { layer, bits } = record;
    const counts = inside(this.#counts, layer);
    for (const width of bits) counts.set(width, (counts.get(width) ?? 0) + 1);
    this.#keep(record);
  }

  #keep({ sequence, layer, head, bits }: TokenBitsRecord): void {
    // Of layers with records by head, the first head stands for all.
    if (!this.wanted.has(sequence) || head > 0) return;
    inside(this.#examples, sequence).set(layer, Array.from(bits));
  }

  shares(): LayerShares[] {
    return ascending(this.#counts).map(([layer, counts]) => {
      const all = [...counts.values()].reduce((sum, count) => sum + count, 0);
      const shares = ascending(counts).map(([bits, count]) => ({ bits, share: count / all }));
      return { layer, shares: shares.reverse() };
    });
  }

  examples(): SequenceWidths[] {
    return ascending(this.#examples).map(([sequence, layers]) => ({
      sequence,
      layers: ascending(layers).map(([layer, bits]) => ({ layer, bits })),
    }));
  }
}

function inside<V>(all: Map<number, Map<number, V>>, key: number): Map<number, V> {
  const found = all.get(key) ?? new Map<number, V>();
  all.set(key, found);
  return found;
}

const ascending = <V>(entries: ReadonlyMap<number, V>): [number, V][] => [...entries].sort(([a], [b]) => a - b);

/** What a trace asks of SpAtten: per text, or step of decoding, and layer, the heads that are left and the tokens that each one has. */
import { TandemError } from '../errors.js';
import { isDecoding } from '../trace/steps.js';
import type { AttentionHeadRecord, TokenBitsRecord, TraceHeader, TraceRecord } from '../trace/types.js';
import type { SpattenConfig } from './spatten-config.js';
import { decideHead, type HeadDecisions } from './spatten-probabilities.js';
import { tracedHeads } from './traced-heads.js';

/** A head as the machine meets it. */
export interface HeadWork {
  readonly head: number;
  readonly headWidth: number;
  readonly valueWidth: number;
  readonly queries: number;
  readonly keys: number;
  readonly decisions: HeadDecisions;
}

export interface LayerWork {
  readonly sequence: number;
  /** Tokens that a step of decoding sees; 0: a whole text. */
  readonly step: number;
  readonly layer: number;
  readonly heads: readonly HeadWork[];
  /** Heads that the layer has before any is removed. */
  readonly allHeads: number;
  /** Tokens of the sequence, and those that some head of the layer still has. */
  readonly tokens: number;
  readonly kept: number;
}

/** Layers of each sequence in order, and where the trace left something open. */
export interface Work {
  readonly layers: readonly LayerWork[];
  /** Heads whose flat rows were decided from their probabilities, and all heads. */
  readonly decided: number;
  readonly heads: number;
}

type Bits = TokenBitsRecord['bits'];

interface Collected {
  readonly sequence: number;
  readonly step: number;
  readonly layer: number;
  readonly bits: Map<number, Bits>;
  readonly records: Map<number, HeadWork & { readonly recorded: number; readonly masked: boolean }>;
}

/** Gathers records in any order, as long as a layer's token bits come before its heads. */
export class WorkCollector {
  readonly #layers = new Map<string, Collected>();
  readonly #heads: ReturnType<typeof tracedHeads>;
  readonly #decodes: boolean;
  /** Of steps, of heads of which only the tokens are known. */
  #rows = 0;

  constructor(
    readonly config: SpattenConfig,
    readonly header: TraceHeader,
  ) {
    this.#decodes = isDecoding(header);
    this.#heads = tracedHeads(header);
  }

  add(record: TraceRecord): void {
    if (record.kind === 'token-bits') {
      const { bits } = this.#at(record, this.#decodes ? record.bits.length : 0);
      if (bits.has(record.head)) throw twice(record);
      bits.set(record.head, record.bits);
    } else if (record.kind === 'attention-head') {
      if (this.#decodes) throw inconsistent('A trace of decoding steps holds attention heads.');
      const { bits, records } = this.#at(record, 0);
      if (records.has(record.head)) throw twice(record);
      records.set(record.head, this.#decide(record, bits.get(record.head) ?? bits.get(-1)));
    }
  }

  /** @throws TANDEM_TRACE_INCONSISTENT when there is nothing to play, or a token comes back after it was removed */
  finish(): Work {
    const collected = [...this.#layers.values()].sort(
      (a, b) => a.sequence - b.sequence || a.step - b.step || a.layer - b.layer,
    );
    if (collected.length === 0) {
      throw new TandemError('TANDEM_TRACE_INCONSISTENT', 'The trace holds neither token bits nor attention heads.', {
        remedy: 'Record it with a technique that removes tokens or prunes attention scores.',
      });
    }
    const layers = collected.map((one) => this.#layer(one));
    for (const [index, work] of layers.entries()) {
      const { sequence, layer, kept } = work;
      const before = layers[index - 1];
      if (before && follow(before, work) && kept > before.kept) {
        throw inconsistent(`Layer ${layer} of sequence ${sequence} has ${kept} tokens, the one before ${before.kept}.`);
      }
    }
    const heads = layers.reduce((sum, one) => sum + one.heads.length, 0);
    const decided = collected.reduce((sum, { records }) => sum + records.size, 0);
    return { layers, decided: Math.min(decided, heads), heads };
  }

  #at({ sequence, layer }: { sequence: number; layer: number }, step: number): Collected {
    const key = `${sequence}/${step}/${layer}`;
    let found = this.#layers.get(key);
    if (found === undefined) {
      found = { sequence, step, layer, bits: new Map(), records: new Map() };
      this.#layers.set(key, found);
    }
    return found;
  }

  #decide(record: AttentionHeadRecord, bits: Bits | undefined) {
    const kept = bits && keptTokens(bits);
    const compact = kept === undefined || (record.queries === kept.length && record.keys === kept.length);
    if (!compact && !(record.queries === bits!.length && record.keys === bits!.length)) {
      throw inconsistent(
        `Head ${record.head} of layer ${record.layer}, sequence ${record.sequence}, has ${record.queries} queries and ${record.keys} keys, but ${kept.length} of ${bits!.length} tokens are left.`,
      );
    }
    const { flatThreshold, keyBits, lowBits } = this.config.fetch;
    const decisions = decideHead(record, compact ? undefined : kept, {
      lowBits: Math.min(lowBits, Math.max(0, record.bits - keyBits)),
      flatThreshold: lowBits === 0 ? 0 : flatThreshold,
      valueShare: this.config.valueShare,
      survivorsAreValues: this.header.technique === 'spatten',
    });
    return {
      head: record.head,
      headWidth: record.headDim,
      valueWidth: record.valueDim,
      queries: decisions.keys.length,
      keys: compact ? record.keys : kept.length,
      decisions,
      recorded: record.queries,
      masked: bits !== undefined,
    };
  }

  #layer({ sequence, step, layer, bits, records }: Collected): LayerWork {
    const allHeads = Math.max(
      this.#heads(layer).count ?? 0,
      ...[...bits.keys(), ...records.keys()].map((head) => head + 1),
    );
    const heads: HeadWork[] = [];
    const some = new Set<number>();
    for (let head = 0; head < allHeads; head++) {
      const own = bits.get(head) ?? bits.get(-1);
      const kept = own && keptTokens(own);
      for (const token of kept ?? []) some.add(token);
      const recorded = records.get(head);
      if (kept?.length === 0) continue;
      if (recorded) {
        if (kept && !recorded.masked) throw inconsistent(`Token bits of layer ${layer} come after its heads.`);
        heads.push(recorded);
      } else if (kept) {
        heads.push(this.#assumed(layer, head, kept.length));
      }
    }
    const sizes = [...records.values()].map(({ recorded }) => recorded);
    const tokens = Math.max(0, ...[...bits.values()].map(({ length }) => length), ...sizes);
    return {
      sequence,
      step,
      layer,
      heads,
      allHeads,
      tokens,
      kept: some.size > 0 || bits.size > 0 ? some.size : tokens,
    };
  }

  /** A head of which only the tokens are known: every row sees every key, and a configured share is flat. */
  #assumed(layer: number, head: number, kept: number): HeadWork {
    const { fetch, valueShare, headWidth: assumed } = this.config;
    const headWidth = this.#heads(layer).widths?.[head] ?? assumed;
    // A step of decoding has one row.
    const queries = this.#decodes ? 1 : kept;
    const flatRows = fetch.lowBits === 0 ? 0 : this.#flatRows(queries);
    const values = Math.ceil(valueShare * kept);
    return {
      head,
      headWidth,
      valueWidth: headWidth,
      queries,
      keys: kept,
      decisions: {
        // Spread evenly over the rows.
        flat: Array.from({ length: queries }, (_, row) => {
          return Math.floor(((row + 1) * flatRows) / queries) > Math.floor((row * flatRows) / queries);
        }),
        keys: new Array<number>(queries).fill(kept),
        values: new Array<number>(queries).fill(values),
        // Rows choose different values: with more than one, all are taken to be used.
        usedValues: queries === 1 ? values : kept,
      },
    };
  }

  /** Of a text, the share of its rows; single rows of steps are flat in turn, so that their share is the same. */
  #flatRows(queries: number): number {
    const { flatShare } = this.config.fetch;
    if (!this.#decodes) return Math.round(flatShare * queries);
    const before = Math.floor(this.#rows * flatShare + TURN);
    this.#rows += queries;
    return Math.floor(this.#rows * flatShare + TURN) - before;
  }
}

/** Shares times counts miss whole numbers by rounding. */
const TURN = 1e-9;

/** Whether two layers are neighbours in one text or step. */
export const follow = (
  one: Pick<LayerWork, 'sequence' | 'step'>,
  next: Pick<LayerWork, 'sequence' | 'step'>,
): boolean => one.sequence === next.sequence && one.step === next.step;

const keptTokens = (bits: Bits): number[] => {
  const kept: number[] = [];
  bits.forEach((width, token) => {
    if (width > 0) kept.push(token);
  });
  return kept;
};

const inconsistent = (message: string): TandemError =>
  new TandemError('TANDEM_TRACE_INCONSISTENT', message, {
    remedy: 'Record the trace again; tokens are removed for good, and a layer’s token bits come before its heads.',
  });

const twice = ({ sequence, layer, head }: { sequence: number; layer: number; head: number }): TandemError =>
  inconsistent(`Head ${head} of layer ${layer}, sequence ${sequence}, is recorded twice.`);

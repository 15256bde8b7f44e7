/** Matrix products that a trace's attention takes when nothing is left out: what a machine without pruning computes. */
import { TandemError } from '../errors.js';
import { isDecoding } from '../trace/steps.js';
import type { TraceHeader, TraceRecord } from '../trace/types.js';
import { type AttentionShape, attentionGemms } from '../workload/attention.js';
import type { GemmLayer } from '../workload/types.js';
import { tracedHeads } from './traced-heads.js';

/** Equal products of a layer of a sequence. */
export interface LayerProducts {
  readonly layer: number;
  readonly products: readonly { readonly gemm: GemmLayer; readonly times: number }[];
}

interface Collected {
  readonly sequence: number;
  readonly layer: number;
  tokens: number | undefined;
  /** Tokens that a step of decoding sees, and how often. */
  readonly steps: Map<number, number>;
  readonly heads: Map<number, AttentionShape>;
}

/** Gathers records in any order. Token bits set the number of tokens, removed ones included; heads count as recorded elsewhere. */
export class DenseAttention {
  readonly #layers = new Map<string, Collected>();
  readonly #heads: ReturnType<typeof tracedHeads>;
  readonly #decodes: boolean;

  constructor(
    header: TraceHeader,
    /** Width of a head that neither a record nor the architecture tells. */
    readonly headWidth: number,
  ) {
    this.#heads = tracedHeads(header);
    this.#decodes = isDecoding(header);
  }

  add(record: TraceRecord): void {
    if (record.kind === 'token-bits') {
      const at = this.#at(record);
      if (this.#decodes && record.head <= 0)
        at.steps.set(record.bits.length, (at.steps.get(record.bits.length) ?? 0) + 1);
      at.tokens = Math.max(at.tokens ?? 0, record.bits.length);
    } else if (record.kind === 'attention-head') {
      const { queries, keys, headDim, valueDim } = record;
      this.#at(record).heads.set(record.head, { queries, keys, headDim, valueDim });
    }
  }

  /** In order of sequences and layers. @throws TANDEM_TRACE_INCONSISTENT when there is nothing to play */
  finish(): LayerProducts[] {
    const collected = [...this.#layers.values()].sort((a, b) => a.sequence - b.sequence || a.layer - b.layer);
    if (collected.length === 0) {
      throw new TandemError('TANDEM_TRACE_INCONSISTENT', 'The trace holds neither token bits nor attention heads.', {
        remedy: 'Record it with a technique that removes tokens or prunes attention scores.',
      });
    }
    return collected.map((one) => ({ layer: one.layer, products: this.#products(one) }));
  }

  #at({ sequence, layer }: { sequence: number; layer: number }): Collected {
    const key = `${sequence}/${layer}`;
    let found = this.#layers.get(key);
    if (found === undefined) {
      found = { sequence, layer, tokens: undefined, steps: new Map(), heads: new Map() };
      this.#layers.set(key, found);
    }
    return found;
  }

  #products({ layer, tokens, steps, heads }: Collected): LayerProducts['products'] {
    const products = new Map<string, { gemm: GemmLayer; times: number }>();
    const add = (shape: AttentionShape, times: number) => {
      for (const gemm of attentionGemms(shape, `layer ${layer}`)) {
        const key = [gemm.name, gemm.m, gemm.n, gemm.k].join();
        products.set(key, { gemm, times: (products.get(key)?.times ?? 0) + times });
      }
    };
    if (tokens === undefined) for (const shape of heads.values()) add(shape, 1);
    else if (!this.#decodes) for (const shape of this.#allHeads(layer, tokens, heads)) add(shape, 1);
    else {
      for (const [seen, times] of steps) {
        for (const shape of this.#allHeads(layer, seen, heads)) add({ ...shape, queries: 1 }, times);
      }
    }
    return [...products.values()];
  }

  #allHeads(layer: number, tokens: number, recorded: ReadonlyMap<number, AttentionShape>): AttentionShape[] {
    const { widths, count = recorded.size } = this.#heads(layer);
    return Array.from({ length: count }, (_, head) => {
      const width = widths?.[head] ?? this.headWidth;
      const { headDim, valueDim } = recorded.get(head) ?? { headDim: width, valueDim: width };
      return { queries: tokens, keys: tokens, headDim, valueDim };
    });
  }
}

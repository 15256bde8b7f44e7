/** What a trace says, in numbers: per layer and head, and in total. */
import { ACTIVATIONS } from './matrices.js';
import type {
  AttentionHeadRecord,
  MaskRecord,
  TokenExitsRecord,
  TokenOperandsRecord,
  TraceHeader,
  TraceRecord,
} from './types.js';
import { type LayerShares, TokenWidthStatistics } from './widths.js';

export interface HeadStatistics {
  readonly layer: number;
  readonly head: number;
  /** In units of the scaled score q·k/√d; −Infinity without pruning. */
  readonly threshold: number;
  /** Scores that the head had to look at: real queries × visible keys. */
  readonly scores: number;
  readonly survivors: number;
  /** Share of scores that were pruned, 0 … 1. */
  readonly pruningRate: number;
  /** Rows where every score lay below the threshold (the largest is kept, or none). */
  readonly emptyRows: number;
  readonly rows: number;
}

/** Zeros of one matrix over all records of it. */
export interface MatrixStatistics {
  readonly phase: MaskRecord['phase'];
  readonly layer: number;
  readonly matrix: string;
  readonly records: number;
  readonly elements: number;
  /** Elements that are zero; of masks by tile, those of tiles that hold nothing but zeros. */
  readonly zeros: number;
  /** zeros / elements */
  readonly sparsity: number;
}

export interface TraceSummary {
  readonly header: TraceHeader;
  /** Records of each kind. */
  readonly records: Readonly<Record<TraceRecord['kind'], number>>;
  readonly sequences: number;
  /** Real tokens over all sequences, and those that padding added. */
  readonly tokens: number;
  readonly paddingTokens: number;
  readonly scores: number;
  readonly survivors: number;
  readonly pruningRate: number;
  readonly emptyRows: number;
  readonly rows: number;
  /** In order of layer, then head. */
  readonly heads: readonly HeadStatistics[];
  /** In order of phase, then layer, then first appearance. */
  readonly matrices: readonly MatrixStatistics[];
  /** Share of the tokens at each width, by layer, of traces with bits per token. */
  readonly widths: readonly LayerShares[];
  /** Tokens that left after each layer, from the first, of traces with exits. */
  readonly exits: readonly number[];
}

/** Keys that query i of a record may look at. */
export const visibleKeys = ({ causal, keys }: Pick<AttentionHeadRecord, 'causal' | 'keys'>, query: number): number =>
  causal ? Math.min(keys, query + 1) : keys;

export const isSurvivor = ({ survivors, keys }: AttentionHeadRecord, query: number, key: number): boolean => {
  const bit = query * keys + key;
  return ((survivors[bit >> 3]! >> (bit & 7)) & 1) === 1;
};

/** Exact integer score: 16-bit operands stay far below 2^53. */
export function integerScore({ q, k, headDim }: AttentionHeadRecord, query: number, key: number): number {
  let score = 0;
  for (let at = 0, a = query * headDim, b = key * headDim; at < headDim; at++) score += q[a + at]! * k[b + at]!;
  return score;
}

const PHASES: readonly MaskRecord['phase'][] = ['forward', 'backward', 'update'];

/** Elements that a mask says may be other than zero: those of its set bits. */
function nonZeros({ rows, columns, tile: [tileRows, tileColumns], nonZero }: MaskRecord): number {
  const [down, across] = [Math.ceil(rows / tileRows), Math.ceil(columns / tileColumns)];
  let count = 0;
  for (let row = 0, bit = 0; row < down; row++) {
    const height = Math.min(tileRows, rows - row * tileRows);
    for (let column = 0; column < across; column++, bit++) {
      if (((nonZero[bit >> 3]! >> (bit & 7)) & 1) === 0) continue;
      count += height * Math.min(tileColumns, columns - column * tileColumns);
    }
  }
  return count;
}

/** Gathers statistics record by record, so that the trace itself need not stay in memory. */
export class TraceStatistics {
  readonly #records = { 'attention-head': 0, 'token-bits': 0, 'token-exits': 0, mask: 0, 'token-operands': 0 };
  readonly #heads = new Map<string, { -readonly [K in keyof HeadStatistics]: HeadStatistics[K] }>();
  readonly #matrices = new Map<string, { -readonly [K in keyof MatrixStatistics]: MatrixStatistics[K] }>();
  readonly #sequences = new Map<number, { tokens: number; padding: number }>();
  readonly #widths = new TokenWidthStatistics();
  readonly #exits: number[] = [];

  constructor(readonly header: TraceHeader) {}

  add(record: TraceRecord): void {
    this.#records[record.kind]++;
    if (record.kind === 'mask') this.#addMask(record);
    else if (record.kind === 'attention-head') this.#addHead(record);
    else if (record.kind === 'token-operands') this.#addOperands(record);
    else {
      const each = record.kind === 'token-exits' ? record.exits : record.bits;
      // Steps of decoding see more and more tokens.
      const known = this.#sequences.get(record.sequence);
      if (!known) this.#sequences.set(record.sequence, { tokens: each.length, padding: 0 });
      else known.tokens = Math.max(known.tokens, each.length);
      if (record.kind === 'token-exits') this.#addExits(record);
      else this.#widths.add(record);
    }
  }

  #addExits({ layers, exits }: TokenExitsRecord): void {
    while (this.#exits.length < layers) this.#exits.push(0);
    // No layer is the 0th: machines refuse such a record, and here it must not count.
    for (const exit of exits) if (exit > 0) this.#exits[exit - 1] = (this.#exits[exit - 1] ?? 0) + 1;
  }

  summary(): TraceSummary {
    const heads = [...this.#heads.values()]
      .sort((a, b) => a.layer - b.layer || a.head - b.head)
      .map((head) => ({ ...head, pruningRate: rate(head) }));
    const sum = (field: 'scores' | 'survivors' | 'emptyRows' | 'rows') => heads.reduce((s, head) => s + head[field], 0);
    const sequences = [...this.#sequences.values()];
    const totals = {
      scores: sum('scores'),
      survivors: sum('survivors'),
      emptyRows: sum('emptyRows'),
      rows: sum('rows'),
    };
    return {
      header: this.header,
      records: { ...this.#records },
      sequences: sequences.length,
      tokens: sequences.reduce((s, { tokens }) => s + tokens, 0),
      paddingTokens: sequences.reduce((s, { padding }) => s + padding, 0),
      ...totals,
      pruningRate: rate(totals),
      heads,
      matrices: [...this.#matrices.values()]
        .sort((a, b) => PHASES.indexOf(a.phase) - PHASES.indexOf(b.phase) || a.layer - b.layer)
        .map((matrix) => ({ ...matrix, sparsity: matrix.elements === 0 ? 0 : matrix.zeros / matrix.elements })),
      widths: this.#widths.shares(),
      exits: [...this.#exits],
    };
  }

  #addMask(record: MaskRecord): void {
    const { sequence, phase, layer, matrix, rows, columns } = record;
    const known = this.#sequences.get(sequence);
    const tokens = matrix === ACTIVATIONS.query ? rows : 0;
    if (!known) this.#sequences.set(sequence, { tokens, padding: 0 });
    else known.tokens = Math.max(known.tokens, tokens);
    this.#addMatrix(phase, layer, matrix, rows * columns, rows * columns - nonZeros(record));
  }

  #addOperands({ layer, q, k, v }: TokenOperandsRecord): void {
    const matrices = { [ACTIVATIONS.query]: q, [ACTIVATIONS.key]: k, [ACTIVATIONS.value]: v };
    for (const [matrix, values] of Object.entries(matrices)) {
      let zeros = 0;
      for (const value of values) if (value === 0) zeros++;
      this.#addMatrix('forward', layer, matrix, values.length, zeros);
    }
  }

  #addMatrix(phase: MaskRecord['phase'], layer: number, matrix: string, elements: number, zeros: number): void {
    const key = `${phase}/${layer}/${matrix}`;
    let at = this.#matrices.get(key);
    if (at === undefined) {
      at = { phase, layer, matrix, records: 0, elements: 0, zeros: 0, sparsity: 0 };
      this.#matrices.set(key, at);
    }
    at.records++;
    at.elements += elements;
    at.zeros += zeros;
  }

  #addHead(record: AttentionHeadRecord): void {
    const { sequence, layer, head, queries, paddedLength } = record;
    this.#sequences.set(sequence, { tokens: queries, padding: Math.max(0, paddedLength - queries) });
    const key = `${layer}/${head}`;
    let at = this.#heads.get(key);
    if (at === undefined) {
      const scale = (record.queryStep * record.keyStep) / Math.sqrt(record.headDim);
      const threshold = record.threshold * scale;
      at = { layer, head, threshold, scores: 0, survivors: 0, pruningRate: 0, emptyRows: 0, rows: 0 };
      this.#heads.set(key, at);
    }
    for (let query = 0; query < queries; query++) {
      const visible = visibleKeys(record, query);
      const kept: number[] = [];
      for (let j = 0; j < visible; j++) if (isSurvivor(record, query, j)) kept.push(j);
      at.rows++;
      at.scores += visible;
      at.survivors += kept.length;
      // One survivor below the threshold is the one that was kept for want of any other.
      const rescued = kept.length === 1 && integerScore(record, query, kept[0]!) < record.threshold;
      if (kept.length === 0 || rescued) at.emptyRows++;
    }
  }
}

const rate = ({ scores, survivors }: { scores: number; survivors: number }): number =>
  scores === 0 ? 0 : 1 - survivors / scores;

export async function summariseTrace(trace: {
  header: TraceHeader;
  records: AsyncIterable<TraceRecord>;
}): Promise<TraceSummary> {
  const statistics = new TraceStatistics(trace.header);
  for await (const record of trace.records) statistics.add(record);
  return statistics.summary();
}

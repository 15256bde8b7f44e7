/**
 * Where the zeros of a run lie: for each matrix of a program, how many non-zeros each tile edge holds. From the masks of a
 * trace, or drawn with the configured shares of zeros from a fixed seed.
 */
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { ACTIVATIONS } from '../../trace/matrices.js';
import type { MaskRecord } from '../../trace/types.js';
import type { ElectorConfig } from './config.js';
import type { MaskPlace, Matrix } from './operations.js';

/** Non-zeros of a matrix, row-major, one byte an element: 1 where it is not zero. */
export interface ZeroMask {
  readonly rows: number;
  readonly columns: number;
  readonly nonZero: Uint8Array;
}

/** Masks of one batch of sequences. */
export interface MaskSource {
  readonly sequences: number;
  /** Tokens of the longest sequence. */
  readonly tokens: number;
  /** Tokens of each sequence, where they are not all as long. */
  readonly lengths?: readonly number[] | undefined;
  /** @returns undefined when nothing is known of the matrix */
  mask(matrix: Matrix, sequence: number): ZeroMask | undefined;
}

/** Share of non-zeros that a configuration assumes where no mask is known. */
export function assumedDensity({ sparsity }: ElectorConfig, content: MaskPlace['content']): number {
  return content === 'dense' ? 1 : 1 - sparsity[content];
}

/** Sequences first … first + count − 1 of a source. */
export const part = (source: MaskSource, first: number, count: number): MaskSource => ({
  sequences: count,
  tokens: source.tokens,
  lengths: source.lengths?.slice(first, first + count),
  mask: (matrix, sequence) => source.mask(matrix, first + sequence),
});

/** Masks where no trace holds any. */
export const drawnMasks = (sequences: number, tokens: number, density: (matrix: Matrix) => number): MaskSource => ({
  sequences,
  tokens,
  mask: (matrix, sequence) => drawnMask(matrix, sequence, density(matrix)),
});

const SEED = 0x0e1ec7;
const RESOLUTION = 2 ** 16;

/** Each element is zero or not independently, with the configured share; equal for equal matrices of equal programs. */
export function drawnMask(matrix: Matrix, sequence: number, density: number): ZeroMask {
  const { rows, columns } = matrix;
  const nonZero = new Uint8Array(rows * columns);
  if (density >= 1) return { rows, columns, nonZero: nonZero.fill(1) };
  const generator = xoroshiro128plus(SEED + matrix.id * 4099 + (matrix.shared ? 0 : sequence + 1));
  const limit = Math.round(density * RESOLUTION);
  for (let at = 0; at < nonZero.length; at += 2) {
    const draw = generator.next();
    nonZero[at] = (draw & 0xffff) < limit ? 1 : 0;
    if (at + 1 < nonZero.length) nonZero[at + 1] = draw >>> 16 < limit ? 1 : 0;
  }
  return { rows, columns, nonZero };
}

/** Zero masks of a group of sequences of a trace, by matrix. */
export class RecordedMasks implements MaskSource {
  readonly #records = new Map<string, MaskRecord>();
  readonly #numbers: number[] = [];
  readonly lengths: readonly number[];

  /** @param shared masks of weights, which hold for all sequences */
  constructor(
    records: readonly MaskRecord[],
    readonly shared: ReadonlyMap<string, MaskRecord> = new Map(),
  ) {
    this.#numbers = [...new Set(records.map(({ sequence }) => sequence))].sort((a, b) => a - b);
    const lengths = new Map<number, number>();
    for (const record of records) {
      this.#records.set(`${record.sequence}/${keyOf(record)}`, record);
      const ofTokens = record.matrix === ACTIVATIONS.context || record.matrix === ACTIVATIONS.query;
      if (ofTokens) lengths.set(record.sequence, record.rows);
    }
    this.lengths = this.#numbers.map((number) => lengths.get(number) ?? 1);
  }

  get sequences(): number {
    return this.#numbers.length;
  }

  get tokens(): number {
    return Math.max(1, ...this.lengths);
  }

  mask(matrix: Matrix, sequence: number): ZeroMask | undefined {
    const { rows, columns, mask: place, shared } = matrix;
    if (place.matrix === undefined) return this.#withoutPadding(matrix, sequence);
    const key = keyOf({ ...place, matrix: place.matrix });
    const record = shared
      ? (this.shared.get(key) ?? this.#records.get(`${this.#numbers[0]}/${key}`))
      : this.#records.get(`${this.#numbers[sequence]}/${key}`);
    if (!record) return this.#withoutPadding(matrix, sequence);
    const blocked = isOverTokens(matrix);
    // Heads stand below each other, each as high as it is wide.
    const height = blocked ? record.columns : record.rows;
    const firstRow = blocked ? place.rowBlock * height : place.firstRow;
    return cutOut(record, { firstRow, firstColumn: place.firstColumn, height, rows, columns });
  }

  /** What the trace leaves out has no zeros but those of padding. */
  #withoutPadding(matrix: Matrix, sequence: number): ZeroMask | undefined {
    const { rows, columns, shared } = matrix;
    if (shared) return undefined;
    const length = Math.min(rows, this.lengths[sequence]!);
    const nonZero = new Uint8Array(rows * columns);
    if (!isOverTokens(matrix)) nonZero.fill(1, 0, length * columns);
    else for (let row = 0; row < length; row++) nonZero.fill(1, row * columns, row * columns + length);
    return { rows, columns, nonZero };
  }
}

/** Scores and what follows from them: their columns are tokens too. */
export const isOverTokens = ({ mask }: Matrix): boolean =>
  mask.matrix === ACTIVATIONS.scores || mask.matrix === ACTIVATIONS.probabilities;

export const keyOf = ({ phase, layer, matrix }: { phase: string; layer: number; matrix: string }): string =>
  `${phase}/${layer}/${matrix}`;

interface Cut {
  readonly firstRow: number;
  readonly firstColumn: number;
  /** Recorded rows that belong to the matrix; those beyond are padding, which is zero. */
  readonly height: number;
  readonly rows: number;
  readonly columns: number;
}

function cutOut(record: MaskRecord, { firstRow, firstColumn, height, rows, columns }: Cut): ZeroMask {
  const [tileRows, tileColumns] = record.tile;
  const width = Math.ceil(record.columns / tileColumns);
  const nonZero = new Uint8Array(rows * columns);
  const lastRow = Math.min(rows, height, record.rows - firstRow);
  const lastColumn = Math.min(columns, record.columns - firstColumn);
  for (let row = 0; row < lastRow; row++) {
    const line = Math.floor((firstRow + row) / tileRows) * width;
    for (let column = 0; column < lastColumn; column++) {
      const bit = line + Math.floor((firstColumn + column) / tileColumns);
      nonZero[row * columns + column] = (record.nonZero[bit >> 3]! >> (bit & 7)) & 1;
    }
  }
  return { rows, columns, nonZero };
}

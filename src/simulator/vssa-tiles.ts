/**
 * The tiles of an attention head, or of several like it, on the variable-speed array, in the order in which they run: scores Q·Kᵀ with queries on
 * rows and keys on columns, outputs P·V with queries on rows, elements of the value on columns and keys along the steps.
 * A row of scores leaves for the softmax while the next tile row of Q·Kᵀ runs, and comes back as probabilities after that.
 */
import { isHalved, isStreamed, type VssaConfig } from './vssa-config.js';
import { largest, type Tile, total } from './vssa-reference.js';

/** What of a configuration decides the tiles. */
export type TilingConfig = Pick<VssaConfig, 'array' | 'stallRelief' | 'probabilities'>;

export interface HeadSizes {
  readonly headDim: number;
  readonly valueDim: number;
  /** Width of one more value, of a probability for each query, that stands for the removed tokens; 0: there is none. */
  readonly pseudoBits: number;
  /** Queries are all tokens that are left, or, in a step of decoding, the last token alone. */
  readonly queries: 'all' | 'last';
}

/** PE-wide parts of a head's tokens, in the order in which they enter the array. */
export interface HeadParts {
  readonly queries: readonly number[];
  readonly keys: readonly number[];
}

export interface HeadTiles {
  readonly tiles: readonly Tile[];
  /** Of tiles[k]. */
  readonly kinds: readonly ('scores' | 'outputs')[];
  /** Products of PE-wide parts: PE-cycles at work. */
  readonly partProducts: number;
  /** Operands moved, in PE-wide parts: read from the buffers for all tiles. */
  readonly queryParts: number;
  readonly keyParts: number;
  readonly probabilityParts: number;
  readonly valueParts: number;
  /** Written into the operand registers of PEs. */
  readonly hops: number;
  /** Sums that leave the array; more than there are scores and outputs where operands enter in halves. */
  readonly sums: number;
}

/** Rows or columns of the array in one tile. */
interface Lanes {
  /** PE-wide parts of the operands in each. */
  readonly parts: Uint8Array;
  /** Token of the last one. */
  readonly last: number;
}

/** Of the tokens that were not removed. */
export function headParts(
  bits: Uint8Array,
  { array, stallRelief }: TilingConfig,
  { queries }: Pick<HeadSizes, 'queries'>,
): HeadParts {
  const parts: number[] = [];
  for (const width of bits) if (width > 0) parts.push(width / array.peBits);
  if (stallRelief !== 'none') parts.sort((a, b) => b - a);
  return { queries: queries === 'all' ? parts : [bits.at(-1)! / array.peBits], keys: parts };
}

/**
 * @param parts at least one query and one key
 * @param heads that follow each other in one stream, with the same tokens' widths
 */
export function headTiles(
  config: TilingConfig,
  parts: HeadParts,
  { headDim, valueDim, pseudoBits }: Omit<HeadSizes, 'queries'>,
  heads = 1,
): HeadTiles {
  const { array, probabilities } = config;
  const [asking, asked] = [Uint8Array.from(parts.queries), Uint8Array.from(parts.keys)];
  const valued = pseudoBits > 0 ? Uint8Array.of(...asked, pseudoBits / array.peBits) : asked;
  const weightParts = probabilities.width === 'token' ? asking : asking.slice().fill(probabilities.bits / array.peBits);
  const queries = inTiles(config, asking, array.rows);
  const keys = inTiles(config, asked, array.columns);
  const weights = weightParts === asking ? queries : inTiles(config, weightParts, array.rows);
  const features = inTiles(config, new Uint8Array(valueDim).fill(1), array.columns);
  const uniform = new Uint8Array(headDim).fill(1);
  // Halves of a value follow each other; the probability stays for both.
  const values = isHalved(config) ? new Uint8Array(total(valued)).fill(1) : valued;
  const reversed = values.slice().reverse();
  const tiles: Tile[] = [];
  const kinds: ('scores' | 'outputs')[] = [];
  const streamed = isStreamed(config);
  const add = (kind: 'scores' | 'outputs', tile: Tile) => {
    tiles.push(tile);
    kinds.push(kind);
  };
  // In an unbroken stream every other tile row goes back the way the last one came, so that neighbours are alike.
  let scored = 0;
  const addScores = (rows: Uint8Array) => {
    const order = streamed && scored++ % 2 === 1 ? [...keys].reverse() : keys;
    for (const { parts: columns } of order) add('scores', { rows, columns, steps: uniform });
  };
  let outputs = 0;
  const addOutputs = (rows: Uint8Array) => {
    for (const { parts: columns } of features) {
      const steps = streamed && outputs++ % 2 === 1 ? reversed : values;
      add('outputs', { rows, columns, steps });
    }
  };
  // Outputs of a row of scores follow when the softmax has passed it, behind the next row: of the next head after the last.
  let addPending = () => {};
  for (let head = 0; head < heads; head++) {
    let done = 0;
    for (const { parts: rows, last } of queries) {
      addScores(rows);
      addPending();
      addPending = () => {
        while (done < weights.length && weights[done]!.last <= last) addOutputs(weights[done++]!.parts);
      };
    }
  }
  addPending();
  const [queryRows, keyColumns, weightRows] = [lanesOf(queries), lanesOf(keys), lanesOf(weights)];
  const totals = [asking, asked, valued, weightParts].map(total);
  const [queryTotal, keyTotal, valueTotal, weightTotal] = totals as [number, number, number, number];
  // Every tile of a row of tiles reads the same queries or probabilities, every one of a column the same keys or values.
  return {
    tiles,
    kinds,
    partProducts: heads * (queryTotal * keyTotal * headDim + weightTotal * valueTotal * valueDim),
    queryParts: heads * queryTotal * headDim * keys.length,
    keyParts: heads * keyTotal * headDim * queries.length,
    probabilityParts: heads * weightTotal * values.length * features.length,
    valueParts: heads * valueTotal * valueDim * weights.length,
    hops:
      heads *
      (queryTotal * headDim * keyColumns +
        keyTotal * headDim * queryRows +
        weightTotal * values.length * valueDim +
        valueTotal * valueDim * weightRows),
    sums: heads * (queryRows * keyColumns + weightRows * valueDim),
  };
}

const lanesOf = (tiles: readonly Lanes[]): number => tiles.reduce((sum, { parts }) => sum + parts.length, 0);

/** Operands in tiles of `size`. A tile is as slow as its widest operand; operands in halves all take their turn alone. */
function inTiles(config: TilingConfig, operands: Uint8Array, size: number): Lanes[] {
  const whole = cut(operands, size, (lane) => lane);
  if (!isHalved(config)) return whole;
  const count = total(operands);
  const time = whole.reduce((sum, { parts }) => sum + largest(parts), 0);
  if (Math.ceil(count / size) >= time) return whole;
  const token = new Uint32Array(count);
  let next = 0;
  operands.forEach((parts, index) => {
    token.fill(index, next, next + parts);
    next += parts;
  });
  return cut(new Uint8Array(count).fill(1), size, (lane) => token[lane]!);
}

/** Neighbouring tiles of equal operands are one object, so that they are looked at once. */
function cut(operands: Uint8Array, size: number, tokenOf: (lane: number) => number): Lanes[] {
  const tiles: Lanes[] = [];
  for (let start = 0; start < operands.length; start += size) {
    const end = Math.min(operands.length, start + size);
    const parts = operands.subarray(start, end);
    const before = tiles.at(-1)?.parts;
    tiles.push({ parts: before !== undefined && isEqual(before, parts) ? before : parts, last: tokenOf(end - 1) });
  }
  return tiles;
}

function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  for (let at = 0; at < one.length; at++) if (one[at] !== other[at]) return false;
  return true;
}

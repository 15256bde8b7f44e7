/**
 * The tiles of one attention head on the variable-speed array, in the order in which they run: scores Q·Kᵀ with queries on
 * rows and keys on columns, outputs P·V with queries on rows, elements of the value on columns and keys along the steps.
 * A row of scores leaves for the softmax while the next tile row of Q·Kᵀ runs, and comes back as probabilities after that.
 */
import { isStreamed, type VssaConfig } from './vssa-config.js';
import { type Tile, total } from './vssa-reference.js';

/** What of a configuration decides the tiles. */
export type TilingConfig = Pick<VssaConfig, 'array' | 'stallRelief' | 'probabilities'>;

export interface HeadSizes {
  readonly headDim: number;
  readonly valueDim: number;
}

export interface HeadTiles {
  readonly tiles: readonly Tile[];
  /** Of tiles[k]. */
  readonly kinds: readonly ('scores' | 'outputs')[];
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

/** Rows or columns of one product: what enters a lane of the array, how many parts it has, and whose token it is. */
interface Lane {
  readonly parts: number;
  readonly token: number;
}

/** PE-wide parts of the tokens that were not removed, in the order in which they enter the array. */
export function tokenParts(bits: Uint8Array, { array, stallRelief }: TilingConfig): number[] {
  const parts: number[] = [];
  for (const width of bits) if (width > 0) parts.push(width / array.peBits);
  return stallRelief === 'none' ? parts : parts.sort((a, b) => b - a);
}

/** @param parts of each token, at least one token */
export function headTiles(config: TilingConfig, parts: readonly number[], { headDim, valueDim }: HeadSizes): HeadTiles {
  const { array, probabilities } = config;
  const probabilityOf = (own: number) => (probabilities.width === 'token' ? own : probabilities.bits / array.peBits);
  const lanes = (partsOf: (own: number) => number) => parts.map((own, token) => ({ parts: partsOf(own), token }));
  const queries = inTiles(
    config,
    lanes((own) => own),
    array.rows,
  );
  const keys = inTiles(
    config,
    lanes((own) => own),
    array.columns,
  );
  const weights = inTiles(config, lanes(probabilityOf), array.rows);
  const features = inTiles(
    config,
    Array.from({ length: valueDim }, (_, token) => ({ parts: 1, token })),
    array.columns,
  );
  const uniform = new Uint8Array(headDim).fill(1);
  // Halves of a value follow each other; the probability stays for both.
  const values = Uint8Array.from(halved(config) ? parts.flatMap((own) => new Array<number>(own).fill(1)) : parts);
  const reversed = values.slice().reverse();
  const tiles: Tile[] = [];
  const kinds: ('scores' | 'outputs')[] = [];
  const streamed = isStreamed(config);
  const add = (kind: 'scores' | 'outputs', tile: Tile) => {
    tiles.push(tile);
    kinds.push(kind);
  };
  // In an unbroken stream every other tile row goes back the way the last one came, so that neighbours are alike.
  const addScores = (rows: readonly Lane[], index: number) => {
    const order = streamed && index % 2 === 1 ? [...keys].reverse() : keys;
    for (const columns of order) add('scores', { rows: partsIn(rows), columns: partsIn(columns), steps: uniform });
  };
  let outputs = 0;
  const addOutputs = (rows: readonly Lane[]) => {
    for (const columns of features) {
      const steps = streamed && outputs++ % 2 === 1 ? reversed : values;
      add('outputs', { rows: partsIn(rows), columns: partsIn(columns), steps });
    }
  };
  let done = 0;
  queries.forEach((rows, index) => {
    addScores(rows, index);
    const complete = queries[index - 1]?.at(-1)?.token ?? -1;
    while (done < weights.length && weights[done]!.at(-1)!.token <= complete) addOutputs(weights[done++]!);
  });
  while (done < weights.length) addOutputs(weights[done++]!);
  return { tiles, kinds, ...movement(tiles, kinds) };
}

const halved = ({ stallRelief }: TilingConfig): boolean => stallRelief === 'halved';

const partsIn = (lanes: readonly Lane[]): Uint8Array => Uint8Array.from(lanes, ({ parts }) => parts);

/** Lanes in tiles of `size`. A tile is as slow as its widest operand; operands in halves all take their turn alone. */
function inTiles(config: TilingConfig, lanes: readonly Lane[], size: number): Lane[][] {
  const whole = cut(lanes, size);
  if (!halved(config)) return whole;
  const halves = cut(
    lanes.flatMap(({ parts, token }) => Array.from({ length: parts }, () => ({ parts: 1, token }))),
    size,
  );
  const time = whole.reduce((sum, tile) => sum + tile.reduce((most, { parts }) => Math.max(most, parts), 0), 0);
  return halves.length < time ? halves : whole;
}

function cut(lanes: readonly Lane[], size: number): Lane[][] {
  return Array.from({ length: Math.ceil(lanes.length / size) }, (_, tile) =>
    lanes.slice(tile * size, (tile + 1) * size),
  );
}

function movement(tiles: readonly Tile[], kinds: readonly string[]): Omit<HeadTiles, 'tiles' | 'kinds'> {
  const sums = { queryParts: 0, keyParts: 0, probabilityParts: 0, valueParts: 0, hops: 0, sums: 0 };
  tiles.forEach(({ rows, columns, steps }, index) => {
    const fromLeft = total(rows) * steps.length;
    sums.sums += rows.length * columns.length;
    if (kinds[index] === 'scores') {
      const fromAbove = total(columns) * steps.length;
      sums.queryParts += fromLeft;
      sums.keyParts += fromAbove;
      sums.hops += fromLeft * columns.length + fromAbove * rows.length;
    } else {
      const fromAbove = total(steps) * columns.length;
      sums.probabilityParts += fromLeft;
      sums.valueParts += fromAbove;
      sums.hops += fromLeft * columns.length + fromAbove * rows.length;
    }
  });
  return sums;
}

/**
 * Costs of operations in closed form: what TileCosts finds tile by tile, from shares of non-zeros alone, for zeros that lie
 * independently of each other. The engine plays both alike, so the two modes differ only in what is estimated here.
 */
import type { ElectorConfig } from './config.js';
import type { Convolution, Matrix, Operand, Operation, Pass, Product } from './operations.js';
import { SegmentPool } from './segments.js';
import { FIFO_WORDS, type OperationCosts, reachOf, tilesOf, wholeReads } from './tile-costs.js';
import { countReused, expectedCeiling, largestOf } from './tile-statistics.js';
import type { Dispatch, OperandReads } from './units.js';

/** An operation's tiles without their place in time. */
interface Estimate {
  readonly tiles: number;
  /** Cycles over all tiles. */
  readonly busy: number;
  /** Cycles of each unit, where tiles of different size fall to the units by a pattern. */
  readonly sums?: Float64Array | undefined;
  /** By how much chance makes the busiest unit's tiles exceed the mean. */
  readonly excess: number;
  readonly dense: number;
  readonly executed: number;
  readonly leftReads: OperandReads;
  readonly rightReads: OperandReads;
}

/** Parts of an axis: tiles of full edge, and a last one that may be shorter. */
interface Axis {
  readonly size: number;
  readonly edge: number;
  readonly tiles: number;
  readonly last: number;
}

const axis = (size: number, edge: number): Axis => {
  const tiles = Math.ceil(size / edge);
  return { size, edge, tiles, last: size - (tiles - 1) * edge };
};

export class TileEstimates implements OperationCosts {
  readonly #lanes: SegmentPool;
  readonly #softmax: SegmentPool;
  readonly #norms: SegmentPool;
  readonly #known = new Map<string, Estimate>();

  /** @param density share of non-zeros of a matrix, 0 … 1 */
  constructor(
    readonly config: ElectorConfig,
    readonly sequences: number,
    readonly density: (matrix: Matrix) => number,
  ) {
    this.#lanes = new SegmentPool(config.pes * config.lanesPerPe);
    this.#softmax = new SegmentPool(config.pes * config.softmaxPerPe);
    this.#norms = new SegmentPool(config.pes);
  }

  nonZeros(matrix: Matrix): number {
    const copies = matrix.shared ? 1 : this.sequences;
    return copies * matrix.rows * matrix.columns * this.density(matrix);
  }

  release(): void {}

  dispatch(operation: Operation, ready: number): Dispatch {
    if (operation.kind === 'gather') return this.#gather(operation, ready);
    const estimate = this.#estimate(operation);
    const { tiles, busy, sums } = estimate;
    const { start, end } = this.#pool(operation).deal(ready, { tiles, cycles: busy / tiles, sums });
    return { ...estimate, start: Math.floor(start), end: Math.ceil(end + estimate.excess) };
  }

  #pool({ kind }: Operation): SegmentPool {
    return kind === 'softmax' ? this.#softmax : kind === 'layer-norm' ? this.#norms : this.#lanes;
  }

  /** Heads and layers of one shape and density are estimated once. */
  #estimate(operation: Exclude<Operation, { kind: 'gather' }>): Estimate {
    const key = this.#key(operation);
    let known = this.#known.get(key);
    if (!known) {
      known =
        operation.kind === 'product'
          ? this.#product(operation)
          : operation.kind === 'convolution'
            ? this.#convolution(operation)
            : this.#pass(operation as Pass);
      this.#known.set(key, known);
    }
    return known;
  }

  #key(operation: Operation): string {
    const of = (matrix: Matrix) =>
      `${matrix.rows}x${matrix.columns}${matrix.shared ? 's' : ''}@${this.density(matrix)}`;
    if (operation.kind === 'product') {
      const { left, right } = operation;
      return `${of(left.matrix)}${left.transposed}*${of(right.matrix)}${right.transposed}`;
    }
    return `${operation.kind}${operation.reads.map(of).join()}${operation.kind === 'convolution' ? `${operation.kernel}${operation.finds}` : ''}`;
  }

  #product({ left, right }: Product): Estimate {
    const { tile, macsPerLane, loopOrder } = this.config;
    const [pa, pb] = [this.density(left.matrix), this.density(right.matrix)];
    const [aShared, bShared] = [left.matrix.shared, right.matrix.shared];
    const batch = aShared && bShared ? 1 : this.sequences;
    const axes = {
      b: axis(batch, tile.b),
      i: axis(extent(left, 'rows'), tile.x),
      j: axis(extent(right, 'columns'), tile.y),
      k: axis(extent(left, 'columns'), tile.y),
    };
    const tiles = axes.b.tiles * axes.i.tiles * axes.j.tiles * axes.k.tiles;
    const costOf = (b: number, i: number, j: number, k: number) => {
      const mean = b * i * j * k * pa * pb;
      // Var(Σ L·R) over the tile's positions, L and R binomial counts of non-zeros.
      const square = (n: number, p: number) => n * p * (1 - p) + (n * p) ** 2;
      const spread = Math.sqrt(Math.max(0, b * k * (square(i, pa) * square(j, pb) - (i * pa * j * pb) ** 2)));
      const multiplying = expectedCeiling(
        (mean - 0.5) / macsPerLane + 0.5 / macsPerLane,
        spread / macsPerLane,
        1 / macsPerLane,
      );
      const words = Math.max((aShared ? 1 : b) * i * k * pa, (bShared ? 1 : b) * j * k * pb);
      return { cycles: Math.max(1, multiplying, Math.ceil(words / FIFO_WORDS)), spread: spread / macsPerLane };
    };
    const { busy, sums } = sumOverTiles(axes, loopOrder, this.#lanes.count, (...sizes) => costOf(...sizes).cycles);
    const full = costOf(axes.b.edge, axes.i.edge, axes.j.edge, axes.k.edge);
    const { leftReads, rightReads } = this.#reads(axes, loopOrder, tiles, { pa, pb, aShared, bShared });
    const dense = batch * axes.i.size * axes.j.size * axes.k.size;
    return {
      tiles,
      busy,
      sums,
      excess: this.#tail(tiles, this.#lanes.count, full.spread),
      dense,
      executed: dense * pa * pb,
      leftReads,
      rightReads,
    };
  }

  /** How far the busiest of the units that an operation occupies lies above their mean. */
  #tail(tiles: number, units: number, spread: number): number {
    return spread * Math.sqrt(Math.ceil(tiles / units)) * largestOf(Math.min(tiles, units));
  }

  #reads(
    axes: Readonly<Record<string, Axis>>,
    loopOrder: string,
    tiles: number,
    { pa, pb, aShared, bShared }: { pa: number; pb: number; aShared: boolean; bShared: boolean },
  ) {
    const order = [...loopOrder];
    const sizes = order.map((name) => axes[name]!.tiles);
    const reads = (shared: boolean, along: 'i' | 'j', density: number): OperandReads => {
      const fixed = order.map((name) => name === 'k' || name === along || (name === 'b' && !shared));
      const count = tiles - countReused(sizes, this.#lanes.count, fixed);
      const copies = shared ? 1 : axes.b!.size / axes.b!.tiles;
      const mean = (name: string) => axes[name]!.size / axes[name]!.tiles;
      const elements = count * copies * mean(along) * mean('k');
      return { tiles: count, words: elements * density, maskBits: elements };
    };
    return { leftReads: reads(aShared, 'i', pa), rightReads: reads(bShared, 'j', pb) };
  }

  #convolution({ finds, input, other, kernel }: Convolution): Estimate {
    const { tile, macsPerLane } = this.config;
    const [p, q] = [this.density(input), this.density(other)];
    const { rows, columns } = input;
    const axes = { b: axis(this.sequences, tile.b), i: axis(rows, tile.x), j: axis(columns, tile.y), k: axis(1, 1) };
    const [before, behind] = reachOf({ finds, kernel });
    // Taps that lie beyond the first or last token multiply nothing; tokens that lie there are not read.
    const beyond = (reach: number) => Array.from({ length: reach }, (_, at) => Math.min(rows, at + 1));
    const inside = 1 - [...beyond(before), ...beyond(behind)].reduce((sum, taps) => sum + taps, 0) / (rows * kernel);
    const tiles = axes.b.tiles * axes.i.tiles * axes.j.tiles;
    // Tokens that are read by all tiles along the axis, those at their borders several times.
    let reached = 0;
    for (let row = 0; row < rows; row += tile.x)
      reached += Math.min(rows, row + tile.x + behind) - Math.max(0, row - before);
    const slides = finds === 'kernel gradient';
    const leftRows = slides ? rows : reached;
    const rightRows = slides ? reached : kernel * axes.i.tiles;
    const rightCopies = other.shared ? axes.b.tiles : this.sequences;
    const cost = (b: number, i: number, j: number) => {
      const all = b * i * j * kernel * inside;
      const spread = Math.sqrt(all * p * q * (1 - p * q)) / macsPerLane;
      const cycles = expectedCeiling((all * p * q) / macsPerLane, spread, 1 / macsPerLane);
      const wide = Math.min(rows, i + before + behind);
      const words = Math.max(
        b * (slides ? i : wide) * j * p,
        (other.shared ? 1 : b) * (slides ? wide : kernel) * j * q,
      );
      return { cycles: Math.max(1, cycles, Math.ceil(words / FIFO_WORDS)), spread };
    };
    const { busy, sums } = sumOverTiles(axes, 'bijk', this.#lanes.count, (b, i, j) => cost(b, i, j).cycles);
    const dense = this.sequences * rows * columns * kernel;
    const reads = (elements: number, density: number) => ({ tiles, words: elements * density, maskBits: elements });
    return {
      tiles,
      busy,
      sums,
      excess: this.#tail(tiles, this.#lanes.count, cost(tile.b, tile.x, tile.y).spread),
      dense,
      executed: dense * inside * p * q,
      leftReads: reads(this.sequences * leftRows * columns, p),
      rightReads: reads(rightCopies * rightRows * columns, q),
    };
  }

  #pass({ kind, input, reads }: Pass): Estimate {
    const { tile } = this.config;
    const { rows, columns, shared } = input;
    const p = this.density(input);
    const copies = shared ? 1 : this.sequences;
    const axes = { b: axis(copies, tile.b), i: axis(rows, tile.x), j: axis(columns, tile.y), k: axis(1, 1) };
    const tiles = axes.b.tiles * axes.i.tiles * axes.j.tiles;
    const units =
      kind === 'softmax' ? this.#softmax.count : kind === 'layer-norm' ? this.#norms.count : this.#lanes.count;
    const cost = (b: number, i: number, j: number) => {
      if (kind === 'non-linearity') return { cycles: 1, spread: 0 };
      const words = b * i * j * p;
      const deviation = Math.sqrt(words * (1 - p));
      if (kind === 'softmax') return { cycles: Math.max(1, words), spread: deviation };
      const perWord = (tile.x + tile.y) / (tile.x * tile.y);
      const cycles = expectedCeiling(words * perWord, deviation * perWord, perWord);
      return { cycles: Math.max(1, cycles), spread: deviation * perWord };
    };
    const { busy, sums } = sumOverTiles(axes, 'bijk', units, (b, i, j) => cost(b, i, j).cycles);
    const [leftReads, rightReads] = wholeReads(tiles, [input], reads.slice(1), this);
    return {
      tiles,
      busy,
      sums,
      excess: this.#tail(tiles, units, cost(tile.b, tile.x, tile.y).spread),
      dense: 0,
      executed: 0,
      leftReads,
      rightReads,
    };
  }

  #gather({ writes, reads }: Pass, ready: number): Dispatch {
    const tiles = tilesOf(writes, this.sequences, this.config.tile);
    const [leftReads, rightReads] = wholeReads(tiles, [writes], reads.slice(1), this);
    return { start: ready, end: ready, busy: 0, tiles: 0, dense: 0, executed: 0, leftReads, rightReads };
  }
}

const extent = ({ matrix, transposed }: Operand, of: 'rows' | 'columns'): number =>
  (of === 'rows') !== transposed ? matrix.rows : matrix.columns;

type Axes = Readonly<Record<'b' | 'i' | 'j' | 'k', Axis>>;

/**
 * Sum of a cost over all tiles, from the at most 16 kinds of tile that the last, shorter ones of each axis make; and, where
 * there are such tiles, each unit's sum, since tiles of one kind may always fall to the same units.
 */
function sumOverTiles(
  axes: Axes,
  loopOrder: string,
  units: number,
  cost: (b: number, i: number, j: number, k: number) => number,
): { busy: number; sums: Float64Array | undefined } {
  const order = [...'bijk'] as (keyof Axes)[];
  const kinds = new Float64Array(16);
  let busy = 0;
  for (let kind = 0; kind < 16; kind++) {
    let count = 1;
    const sizes = order.map((name, at) => {
      const { edge, last, tiles } = axes[name];
      const short = (kind >> at) & 1;
      count *= short ? 1 : tiles - 1;
      return short ? last : edge;
    });
    if (count === 0) continue;
    kinds[kind] = cost(...(sizes as [number, number, number, number]));
    busy += count * kinds[kind]!;
  }
  const uniform = order.every((name) => axes[name].last === axes[name].edge);
  return { busy, sums: uniform ? undefined : unitSums(axes, loopOrder, units, kinds) };
}

function unitSums(axes: Axes, loopOrder: string, units: number, kinds: Float64Array): Float64Array {
  const names = [...loopOrder] as (keyof Axes)[];
  const [n0, n1, n2, n3] = names.map((name) => axes[name].tiles) as [number, number, number, number];
  const [w0, w1, w2, w3] = names.map((name) => 1 << 'bijk'.indexOf(name)) as [number, number, number, number];
  const tiles = n0 * n1 * n2 * n3;
  const sums = new Float64Array(Math.min(units, tiles));
  let unit = 0;
  for (let c0 = 0; c0 < n0; c0++)
    for (let c1 = 0; c1 < n1; c1++)
      for (let c2 = 0; c2 < n2; c2++)
        for (let c3 = 0; c3 < n3; c3++) {
          const kind =
            (c0 === n0 - 1 ? w0 : 0) | (c1 === n1 - 1 ? w1 : 0) | (c2 === n2 - 1 ? w2 : 0) | (c3 === n3 - 1 ? w3 : 0);
          sums[unit]! += kinds[kind]!;
          unit = unit + 1 === sums.length ? 0 : unit + 1;
        }
  return sums;
}

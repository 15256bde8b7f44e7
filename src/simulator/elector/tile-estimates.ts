/**
 * Costs of operations in closed form: what TileCosts finds tile by tile, from shares of non-zeros alone, for zeros that lie
 * independently of each other. The engine plays both alike, so the two modes differ only in what is estimated here.
 */
import type { ElectorConfig } from './config.js';
import { isOverTokens } from './masks.js';
import type { Convolution, Matrix, Operand, Operation, Pass, Product } from './operations.js';
import { SegmentPool } from './segments.js';
import { FIFO_WORDS, type OperationCosts, reachOf, tilesOf, wholeReads } from './tile-costs.js';
import { type Axes, axis, repetitionOf, type SequenceTiles, sumOverTiles, tileSizes } from './tile-kinds.js';
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

export class TileEstimates implements OperationCosts {
  readonly #lanes: SegmentPool;
  readonly #softmax: SegmentPool;
  readonly #norms: SegmentPool;
  readonly #known = new Map<string, Estimate>();
  readonly #knownProducts = new Map<number, Estimate>();
  /** Matrices of one shape and density, by matrix. */
  readonly #classes: number[] = [];
  readonly #classNumbers = new Map<string, number>();

  /**
   * @param density share of non-zeros of a matrix, 0 … 1
   * @param lengths tokens of each sequence, where some are shorter than the matrices: what lies beyond is zero
   */
  constructor(
    readonly config: ElectorConfig,
    readonly sequences: number,
    readonly density: (matrix: Matrix) => number,
    readonly lengths?: readonly number[],
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
    const { tiles, busy, sums, excess, dense, executed, leftReads, rightReads } = estimate;
    const dealt = this.#pool(operation).deal(ready, { tiles, cycles: busy / tiles, sums });
    const [start, end] = [Math.floor(dealt.start), Math.ceil(dealt.end + excess)];
    return { start, end, busy, tiles, dense, executed, leftReads, rightReads };
  }

  #pool({ kind }: Operation): SegmentPool {
    return kind === 'softmax' ? this.#softmax : kind === 'layer-norm' ? this.#norms : this.#lanes;
  }

  /** Heads and layers of one shape and density are estimated once. */
  #estimate(operation: Exclude<Operation, { kind: 'gather' }>): Estimate {
    if (operation.kind === 'product') {
      const key = this.#productKey(operation);
      let known = this.#knownProducts.get(key);
      if (!known) {
        known = this.#product(operation);
        this.#knownProducts.set(key, known);
      }
      return known;
    }
    const { kind, reads } = operation;
    const taps = kind === 'convolution' ? `${operation.kernel}${operation.finds}` : '';
    const key = `${kind}${taps}${reads.map((matrix) => this.#classOf(matrix)).join()}`;
    let known = this.#known.get(key);
    if (!known) {
      known = kind === 'convolution' ? this.#convolution(operation) : this.#pass(operation);
      this.#known.set(key, known);
    }
    return known;
  }

  /** Whole numbers are faster to look up than text; there are far fewer classes than fit. */
  #productKey({ left, right }: Product): number {
    const of = ({ matrix, transposed }: Operand) => 2 * this.#classOf(matrix) + (transposed ? 1 : 0);
    return of(left) * 2 ** 24 + of(right);
  }

  #classOf(matrix: Matrix): number {
    let found = this.#classes[matrix.id];
    if (found === undefined) {
      const kind = `${matrix.shared ? 's' : ''}${isOverTokens(matrix) ? 't' : ''}`;
      const key = `${matrix.rows}x${matrix.columns}${kind}@${this.density(matrix)}`;
      found = this.#classNumbers.get(key) ?? this.#classNumbers.size;
      this.#classNumbers.set(key, found);
      this.#classes[matrix.id] = found;
    }
    return found;
  }

  #product({ left, right }: Product): Estimate {
    const { tile, macsPerLane, loopOrder } = this.config;
    const [a, b] = [left.matrix, right.matrix];
    const [pa, pb] = [this.#realDensity(a), this.#realDensity(b)];
    const axes = {
      b: axis(a.shared && b.shared ? 1 : this.sequences, tile.b),
      i: axis(extent(left, 'rows'), tile.x),
      j: axis(extent(right, 'columns'), tile.y),
      k: axis(extent(left, 'columns'), tile.y),
    };
    const tiles = axes.b.tiles * axes.i.tiles * axes.j.tiles * axes.k.tiles;
    const sequences = this.#perSequence((length) => {
      const [i, k] = [realExtent(left, 'rows', length), realExtent(left, 'columns', length)];
      const [alsoK, j] = [realExtent(right, 'rows', length), realExtent(right, 'columns', length)];
      return { i: tileSizes(axes.i, i), j: tileSizes(axes.j, j), k: tileSizes(axes.k, Math.min(k, alsoK)) };
    });
    const { busy, sums } = sumOverTiles(axes, sequences, loopOrder, this.#lanes.count, ({ i, j, k }) => {
      let [mean, leftWords, rightWords] = [0, 0, 0];
      const variance = new Variance();
      for (let s = 0; s < i.length; s++) {
        const [rows, columns, inner] = [i[s]!, j[s]!, k[s]!];
        mean += rows * columns * inner * pa * pb;
        variance.add(productVariance(rows, columns, inner, pa, pb));
        leftWords = (a.shared ? 0 : leftWords) + rows * inner * pa;
        rightWords = (b.shared ? 0 : rightWords) + columns * inner * pb;
      }
      return laneCycles(mean, variance.deviation, Math.max(leftWords, rightWords), macsPerLane);
    });
    const { x, y } = tile;
    const full = productVariance(Math.min(x, axes.i.size), Math.min(y, axes.j.size), Math.min(y, axes.k.size), pa, pb);
    const together = Math.min(tile.b, axes.b.size);
    const excess = this.#tail(axes, this.#lanes.count, loopOrder, [
      { variance: together * full.both, along: ['b', 'i', 'j', 'k'] },
      { variance: together ** (a.shared ? 2 : 1) * full.left, along: a.shared ? ['i', 'k'] : ['b', 'i', 'k'] },
      { variance: together ** (b.shared ? 2 : 1) * full.right, along: b.shared ? ['k', 'j'] : ['b', 'k', 'j'] },
    ]);
    const dense = axes.b.size * axes.i.size * axes.j.size * axes.k.size;
    const total = (sizes: readonly number[]) => sizes.reduce((sum, size) => sum + size, 0);
    const executed = Array.from({ length: axes.b.size }, (_, at) => {
      const { i, j, k } = sequences[at] ?? sequences[0]!;
      return total(i) * total(j) * total(k) * pa * pb;
    });
    return {
      tiles,
      busy,
      sums,
      excess: excess / macsPerLane,
      dense,
      executed: total(executed),
      leftReads: this.#reads(a, 'i', axes, tiles),
      rightReads: this.#reads(b, 'j', axes, tiles),
    };
  }

  /**
   * How far the busiest unit lies above the mean. What an operand's tile has more than others adds up where a unit meets
   * it again and again, and evens out where a unit meets all of them.
   */
  #tail(
    axes: Axes,
    units: number,
    loopOrder: string,
    sources: readonly { readonly variance: number; readonly along: readonly (keyof Axes)[] }[],
  ): number {
    const tiles = axes.b.tiles * axes.i.tiles * axes.j.tiles * axes.k.tiles;
    let [apart, square] = [0, 0];
    for (const { variance, along } of sources) {
      const { rounds, met, all } = repetitionOf(axes, loopOrder, units, along);
      const ofUnit = variance * (rounds ** 2 / met) * Math.max(0, 1 - met / Math.max(all, 2));
      square += ofUnit;
      apart += Math.sqrt(ofUnit) * largestOf(Math.min(units, tiles, all / met));
    }
    // The worst of each may meet in one unit, and no unit is worse than the worst of so many.
    return Math.min(apart, Math.sqrt(square) * largestOf(Math.min(units, tiles)));
  }

  #reads(matrix: Matrix, along: 'i' | 'j', axes: Axes, tiles: number): OperandReads {
    const order = [...this.config.loopOrder] as (keyof Axes)[];
    const sizes = order.map((name) => axes[name].tiles);
    const fixed = order.map((name) => name === 'k' || name === along || (name === 'b' && !matrix.shared));
    const count = tiles - countReused(sizes, this.#lanes.count, fixed);
    const mean = (name: keyof Axes) => axes[name].size / axes[name].tiles;
    const elements = count * (matrix.shared ? 1 : mean('b')) * mean(along) * mean('k');
    return { tiles: count, words: elements * this.density(matrix), maskBits: elements };
  }

  #convolution({ finds, input, other, kernel }: Convolution): Estimate {
    const { tile, macsPerLane } = this.config;
    const [p, q] = [this.#realDensity(input), this.#realDensity(other)];
    const { rows, columns } = input;
    const axes = { b: axis(this.sequences, tile.b), i: axis(rows, tile.x), j: axis(columns, tile.y), k: axis(1, 1) };
    const tiles = axes.b.tiles * axes.i.tiles * axes.j.tiles;
    const [before, behind] = reachOf({ finds, kernel });
    const slides = finds === 'kernel gradient';
    // Taps that lie beyond the first or last token multiply nothing: a tile's rows, by the share of taps that do not.
    const meeting = (row: number, length: number) =>
      slides && row >= length ? 0 : Math.max(0, Math.min(length, row + behind + 1) - Math.max(0, row - before));
    const sequences = this.#perSequence((length) => ({
      i: Array.from({ length: axes.i.tiles }, (_, at) => {
        let taps = 0;
        for (let row = at * tile.x; row < Math.min(rows, (at + 1) * tile.x); row++) taps += meeting(row, length);
        return taps / kernel;
      }),
      j: tileSizes(axes.j, columns),
      k: [1],
    }));
    const { busy, sums } = sumOverTiles(axes, sequences, 'bijk', this.#lanes.count, ({ i, j }) => {
      let [mean, leftWords, rightWords] = [0, 0, 0];
      const variance = new Variance();
      for (let s = 0; s < i.length; s++) {
        const [height, width] = [i[s]!, j[s]!];
        mean += height * width * kernel * p * q;
        variance.add(convolutionVariance(height, width, kernel, p, q));
        const wide = height > 0 ? Math.min(rows, height + before + behind) : 0;
        leftWords += (slides ? height : wide) * width * p;
        rightWords = slides ? rightWords + wide * width * q : kernel * width * q;
      }
      return laneCycles(mean, variance.deviation, Math.max(leftWords, rightWords), macsPerLane);
    });
    const full = convolutionVariance(Math.min(tile.x, rows), Math.min(tile.y, columns), kernel, p, q);
    const together = Math.min(tile.b, axes.b.size);
    const excess = this.#tail(axes, this.#lanes.count, 'bijk', [
      { variance: together * (full.both + full.left), along: ['b', 'i', 'j'] },
      slides
        ? { variance: together * full.right, along: ['b', 'i', 'j'] }
        : { variance: together ** 2 * full.right, along: ['j'] },
    ]);
    // Tokens that are read by all tiles along the axis, those at their borders several times.
    let reached = 0;
    for (let row = 0; row < rows; row += tile.x)
      reached += Math.min(rows, row + tile.x + behind) - Math.max(0, row - before);
    const reads = (matrix: Matrix, copies: number, height: number) => {
      const elements = copies * height * columns;
      return { tiles, words: elements * this.density(matrix), maskBits: elements };
    };
    const heights = (at: number) => (sequences[at] ?? sequences[0]!).i.reduce((sum, height) => sum + height, 0);
    const height = Array.from({ length: this.sequences }, (_, at) => heights(at)).reduce((sum, one) => sum + one, 0);
    return {
      tiles,
      busy,
      sums,
      excess: excess / macsPerLane,
      dense: this.sequences * rows * columns * kernel,
      executed: height * columns * kernel * p * q,
      leftReads: reads(input, this.sequences, slides ? rows : reached),
      rightReads: slides ? reads(other, this.sequences, reached) : reads(other, axes.b.tiles, kernel * axes.i.tiles),
    };
  }

  #pass({ kind, input, reads }: Pass): Estimate {
    const { tile } = this.config;
    const { rows, columns } = input;
    const p = this.#realDensity(input);
    const axes = { b: axis(this.sequences, tile.b), i: axis(rows, tile.x), j: axis(columns, tile.y), k: axis(1, 1) };
    const tiles = axes.b.tiles * axes.i.tiles * axes.j.tiles;
    const units = this.#units(kind);
    const perWord = kind === 'softmax' ? 1 : (tile.x + tile.y) / (tile.x * tile.y);
    const sequences = this.#perSequence((length) => ({
      i: tileSizes(axes.i, Math.min(rows, length)),
      j: tileSizes(axes.j, isOverTokens(input) ? length : columns),
      k: [1],
    }));
    const { busy, sums } = sumOverTiles(axes, sequences, 'bijk', units, ({ i, j }) => {
      if (kind === 'non-linearity') return 1;
      const words = i.reduce((sum, height, s) => sum + height * j[s]! * p, 0);
      return Math.max(1, expectedCeiling(words * perWord, Math.sqrt(words * (1 - p)) * perWord, perWord));
    });
    const elements = Math.min(tile.b, axes.b.size) * Math.min(tile.x, rows) * Math.min(tile.y, columns);
    const variance = kind === 'non-linearity' ? 0 : elements * p * (1 - p) * perWord ** 2;
    const [leftReads, rightReads] = wholeReads(tiles, [input], reads.slice(1), this);
    return {
      tiles,
      busy,
      sums,
      excess: this.#tail(axes, units, 'bijk', [{ variance, along: ['b', 'i', 'j'] }]),
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

  /** One entry for all sequences when they are equally long. */
  #perSequence(tilesOf: (length: number) => SequenceTiles): SequenceTiles[] {
    if (!this.lengths) return [tilesOf(Number.POSITIVE_INFINITY)];
    const known = new Map<number, SequenceTiles>();
    return this.lengths.map((length) => {
      const tiles = known.get(length) ?? tilesOf(length);
      known.set(length, tiles);
      return tiles;
    });
  }

  /** Share of non-zeros among what is not padding. */
  #realDensity(matrix: Matrix): number {
    const density = this.density(matrix);
    if (!this.lengths || matrix.shared) return density;
    const { rows, columns } = matrix;
    const real = this.lengths.reduce((sum, length) => {
      return sum + Math.min(rows, length) * (isOverTokens(matrix) ? Math.min(columns, length) : columns);
    }, 0);
    return real === 0 ? 0 : Math.min(1, (density * this.sequences * rows * columns) / real);
  }

  #units(kind: Operation['kind']): number {
    return kind === 'softmax' ? this.#softmax.count : kind === 'layer-norm' ? this.#norms.count : this.#lanes.count;
  }
}

/** Cycles of a tile on a lane, on average. */
function laneCycles(mean: number, deviation: number, words: number, macsPerLane: number): number {
  const multiplying = expectedCeiling(mean / macsPerLane, deviation / macsPerLane, 1 / macsPerLane);
  return Math.max(1, multiplying, Math.ceil(words / FIFO_WORDS));
}

/** Parts of the variance of a tile's multiplications: by the zeros of the left operand, of the right one, of both. */
interface VarianceParts {
  readonly left: number;
  readonly right: number;
  readonly both: number;
}

class Variance {
  #sum = 0;

  add({ left, right, both }: VarianceParts): void {
    this.#sum += left + right + both;
  }

  get deviation(): number {
    return Math.sqrt(this.#sum);
  }
}

/** Of Σ L·R over the inner positions, L and R binomial counts of the non-zeros among rows and columns. */
function productVariance(rows: number, columns: number, inner: number, pa: number, pb: number): VarianceParts {
  const [varianceLeft, varianceRight] = [rows * pa * (1 - pa), columns * pb * (1 - pb)];
  return {
    left: inner * varianceLeft * (columns * pb) ** 2,
    right: inner * varianceRight * (rows * pa) ** 2,
    both: inner * varianceLeft * varianceRight,
  };
}

function convolutionVariance(rows: number, columns: number, kernel: number, p: number, q: number): VarianceParts {
  return {
    left: rows * columns * p * (1 - p) * (kernel * q) ** 2,
    right: kernel * columns * q * (1 - q) * (rows * p) ** 2,
    both: rows * columns * kernel * p * (1 - p) * q * (1 - q),
  };
}

const extent = ({ matrix, transposed }: Operand, of: 'rows' | 'columns'): number =>
  (of === 'rows') !== transposed ? matrix.rows : matrix.columns;

/** Without padding, of a sequence of so many tokens. */
function realExtent(operand: Operand, of: 'rows' | 'columns', length: number): number {
  const { matrix, transposed } = operand;
  const size = extent(operand, of);
  const ofTokens = !matrix.shared && ((of === 'rows') !== transposed || isOverTokens(matrix));
  return ofTokens ? Math.min(size, length) : size;
}

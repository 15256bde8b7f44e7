/**
 * What the order of the loops over a product's tiles saves: a lane keeps the two operand tiles of its last tile product,
 * and does not fetch them again if the next one needs them. (AccelTran, arXiv 2302.14705, dataflow study.)
 */
import type { ElectorConfig } from './config.js';
import { BLOCK_WORDS, bufferAccessNanojoules, CLOCK_MEGAHERTZ, laneCost } from './constants.js';

/** Numbers of tiles of a product (b, i, k) × (b, k, j). */
export interface TileCounts {
  readonly b: number;
  readonly i: number;
  readonly j: number;
  readonly k: number;
}

type Loop = keyof TileCounts;

/** Visits the tile products in the order of a configuration's loops, e.g. "bijk": k is innermost. */
export function forEachTile(
  loopOrder: ElectorConfig['loopOrder'],
  counts: TileCounts,
  visit: (b: number, i: number, j: number, k: number) => void,
): void {
  const at: Record<Loop, number> = { b: 0, i: 0, j: 0, k: 0 };
  const [first, second, third, fourth] = [...loopOrder] as [Loop, Loop, Loop, Loop];
  for (at[first] = 0; at[first] < counts[first]; at[first]++) {
    for (at[second] = 0; at[second] < counts[second]; at[second]++) {
      for (at[third] = 0; at[third] < counts[third]; at[third]++) {
        for (at[fourth] = 0; at[fourth] < counts[fourth]; at[fourth]++) visit(at.b, at.i, at.j, at.k);
      }
    }
  }
}

/** The machine of the study: lanes that take tile products in turn, in lock-step. */
export type ReuseConfig = Pick<ElectorConfig, 'tile' | 'macsPerLane' | 'nonLinearity' | 'buffers' | 'sparsity'> & {
  readonly lanes: number;
};

/** A product (batch, rows, inner) × (batch, inner, columns). */
export interface ReuseProblem {
  readonly batch: number;
  readonly rows: number;
  readonly inner: number;
  readonly columns: number;
}

export interface ReuseResult {
  readonly tiles: number;
  /** Operand tiles that a lane still held: of 2 · tiles. */
  readonly reused: number;
  readonly cycles: number;
  readonly dynamicNanojoules: number;
  readonly leakageNanojoules: number;
}

/**
 * Counts what one loop order reuses, and what it costs. A lane is busy for the multiplications of a tile and one cycle
 * more; fetching is hidden behind that, so only energy differs.
 * @param test the published test takes the second operand for unchanged whenever b and k are, whatever j; "corrected"
 *   compares j too
 */
export function loopOrderReuse(
  loopOrder: ElectorConfig['loopOrder'],
  { batch, rows, inner, columns }: ReuseProblem,
  config: ReuseConfig,
  test: 'published' | 'corrected',
): ReuseResult {
  const { tile, lanes, macsPerLane, sparsity } = config;
  const counts = {
    b: Math.ceil(batch / tile.b),
    i: Math.ceil(rows / tile.x),
    j: Math.ceil(columns / tile.y),
    k: Math.ceil(inner / tile.y),
  };
  const held = Array.from({ length: lanes }, () => ({ b: -1, i: -1, j: -1, k: -1 }));
  let tiles = 0;
  let reused = 0;
  forEachTile(loopOrder, counts, (b, i, j, k) => {
    const lane = held[tiles % lanes]!;
    if (lane.b === b && lane.k === k) {
      if (lane.i === i) reused++;
      if (test === 'published' || lane.j === j) reused++;
    }
    Object.assign(lane, { b, i, j, k });
    tiles++;
  });
  const busyCycles = Math.ceil(((tile.b * tile.x * tile.y * tile.y) / macsPerLane) * (1 - sparsity.activation));
  const { dynamicMilliwatts, leakageMilliwatts } = laneCost(config);
  const fetch = (bufferAccessNanojoules(config, 'activation') * tile.b * tile.x * tile.y) / BLOCK_WORDS;
  const laneCycles = tiles * busyCycles;
  return {
    tiles,
    reused,
    cycles: Math.ceil(tiles / lanes) * (busyCycles + 1),
    dynamicNanojoules: (2 * tiles - reused) * fetch + (laneCycles * dynamicMilliwatts.value) / CLOCK_MEGAHERTZ,
    leakageNanojoules: (laneCycles * leakageMilliwatts.value) / CLOCK_MEGAHERTZ,
  };
}

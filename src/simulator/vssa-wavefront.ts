/** An example of the array's waiting, for pictures: scores of a head's first tokens, before and after relief from stalls. */
import type { Wavefront } from './types.js';
import { finishesOf } from './vssa-array.js';
import { isStreamed, type StallRelief, type VssaConfig } from './vssa-config.js';
import { largest, type Tile, total } from './vssa-reference.js';
import { type HeadSizes, headParts, headTiles } from './vssa-tiles.js';

const TITLES: Readonly<Record<StallRelief, string>> = {
  none: 'tokens in their order',
  grouped: 'tokens of equal width together',
  chained: 'together, tiles without a break',
  halved: 'together, without a break, in halves',
  layerwise: 'together, without a break, in halves',
};

/** Tokens that an example has at most, in tiles of the array's longer side. */
const EXAMPLE_TILES = 4;

/**
 * All scores between the first tokens of a head, or of a step’s own token and the last ones before it, so that PEs do the same work in total, with and without the configured
 * relief; against grouping where none is configured.
 */
export function wavefronts(config: VssaConfig, bits: Uint8Array, sizes: HeadSizes): Wavefront[] {
  const { rows, columns } = config.array;
  const most = EXAMPLE_TILES * Math.max(rows, columns);
  const left = bits.filter((width) => width > 0);
  const kept = sizes.queries === 'all' ? left.subarray(0, most) : left.subarray(-most);
  const relief = config.stallRelief === 'none' ? 'grouped' : config.stallRelief;
  return (['none', relief] as const).map((stallRelief) => {
    const own = { ...config, stallRelief };
    const { tiles, kinds } = headTiles(own, headParts(kept, own, sizes), sizes);
    const scores = tiles.filter((_, at) => kinds[at] === 'scores');
    return { title: TITLES[stallRelief], ...played(isStreamed(own) ? [scores] : scores.map((tile) => [tile]), own) };
  });
}

/** Streams of tiles one after the other. */
function played(streams: readonly (readonly Tile[])[], { array }: VssaConfig): Omit<Wavefront, 'title'> {
  const { rows, columns } = array;
  const worked = new Array<number>(rows * columns).fill(0);
  const finished = new Array<number>(rows * columns).fill(0);
  let cycles = 0;
  for (const tiles of streams) {
    const finishes = finishesOf(array, tiles);
    for (const [pe, finish] of finishes.entries()) if (finish > 0) finished[pe] = cycles + finish;
    cycles += largest(finishes);
    for (const tile of tiles) {
      const steps = total(tile.steps);
      for (const [i, row] of tile.rows.entries())
        for (const [j, column] of tile.columns.entries()) worked[i * columns + j]! += row * column * steps;
    }
  }
  return { rows, columns, worked, waited: worked.map((work) => cycles - work), finished, cycles };
}

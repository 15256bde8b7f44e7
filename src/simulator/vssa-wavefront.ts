/** An example of the array's waiting, for pictures: the first row of score tiles of a head, before and after grouping. */
import type { Wavefront } from './types.js';
import type { StallRelief, VssaConfig } from './vssa-config.js';
import { referenceTile, type Tile } from './vssa-reference.js';
import { type HeadSizes, headTiles, tokenParts } from './vssa-tiles.js';

const SHOWN: readonly (readonly [StallRelief, string])[] = [
  ['none', 'tokens in their order'],
  ['grouped', 'tokens of equal width together'],
];

/** Tile after tile, by the recurrence; reliefs beyond grouping are not shown. */
export function wavefronts(config: VssaConfig, bits: Uint8Array, sizes: HeadSizes): Wavefront[] {
  return SHOWN.map(([stallRelief, title]) => {
    const own = { ...config, stallRelief };
    const { tiles, kinds } = headTiles(own, tokenParts(bits, own), sizes);
    const scores = tiles.filter((_, at) => kinds[at] === 'scores');
    return { title, ...played(scores.slice(0, tilesOfARow(scores)), own) };
  });
}

/** Tiles of the same queries as the first. */
function tilesOfARow(tiles: readonly Tile[]): number {
  const end = tiles.findIndex(({ rows }) => rows !== tiles[0]!.rows);
  return end < 0 ? tiles.length : end;
}

function played(tiles: readonly Tile[], { array }: VssaConfig): Omit<Wavefront, 'title'> {
  const { rows, columns, linkDepth } = array;
  const worked = new Array<number>(rows * columns).fill(0);
  const finished = new Array<number>(rows * columns).fill(0);
  let cycles = 0;
  for (const tile of tiles) {
    const run = referenceTile(tile, linkDepth);
    const last = run.finish.at(-1)!;
    for (const [i, row] of tile.rows.entries()) {
      for (const [j, column] of tile.columns.entries()) {
        const pe = i * columns + j;
        for (const step of tile.steps) worked[pe]! += row * column * step;
        finished[pe] = cycles + last[i]![j]!;
      }
    }
    cycles += run.cycles;
  }
  return { rows, columns, worked, waited: worked.map((work) => cycles - work), finished, cycles };
}

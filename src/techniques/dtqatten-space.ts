/** DTQAtten's ratios as a space to search: every combination of its choices is allowed. */
import type { DtqattenChoice, DtqattenOptions } from './dtqatten-options.js';
import type { OptionsSpace } from './types.js';

/** Share of the tokens of the layer before that a layer keeps, and of those that may have a width that do. */
const KEPT = [1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2];
const WIDE = [1, 0.75, 0.5, 0.25, 0];

export interface DtqattenSpace {
  readonly dimensions: OptionsSpace<unknown>['dimensions'];
  choice(point: readonly number[]): DtqattenChoice;
}

/**
 * The width of the first layer, unless it is given; then, for each deeper layer, the share of the tokens that it keeps of the layer before (where
 * 0 bits are a width), and, for each width but the smallest, the share of the tokens that have it or more, of those that
 * may: those that had it at the layer before and have the next smaller one.
 */
export function dtqattenSpace(
  { widths, firstLayer: given }: Pick<DtqattenOptions, 'widths' | 'firstLayer'>,
  attentionLayers: number,
): DtqattenSpace {
  const shown = widths.filter((width) => width > 0);
  const removes = widths.at(-1) === 0;
  const perLayer = [
    ...(removes ? [{ name: 'kept', values: KEPT }] : []),
    ...shown
      .slice(0, -1)
      .reverse()
      .map((width, index) => ({
        name: index === shown.length - 2 ? `${width} bits` : `${width} bits or more`,
        values: WIDE,
      })),
  ];
  const layers = Array.from({ length: attentionLayers - 1 }, (_, layer) => layer + 1);
  const dimensions = [
    { name: 'first layer, bits', values: given === undefined ? shown : [given] },
    ...layers.flatMap((layer) => perLayer.map(({ name, values }) => ({ name: `layer ${layer}, ${name}`, values }))),
  ];
  const value = (point: readonly number[], at: number) => dimensions[at]!.values[point[at]!]!;
  return {
    dimensions,
    choice(point) {
      const firstLayer = value(point, 0);
      // Share of the tokens with each width above 0 or a larger one, the smallest width first.
      let atLeast: number[] = [...shown].reverse().map((width) => (width <= firstLayer ? 1 : 0));
      const ratios = layers.map((_, layer) => {
        const shares = perLayer.map((_, choice) => value(point, 1 + layer * perLayer.length + choice));
        atLeast = narrowed(atLeast, removes ? shares : [1, ...shares]);
        return rowOf(atLeast, removes);
      });
      return { firstLayer, ...(ratios.length > 0 && { ratios }) } as DtqattenChoice;
    },
  };
}

function narrowed(before: readonly number[], shares: readonly number[]): number[] {
  const after: number[] = [];
  for (const [width, had] of before.entries()) after.push(Math.min(had, after[width - 1] ?? 1) * shares[width]!);
  return after;
}

/** Shares of exactly each width, the largest first. */
function rowOf(atLeast: readonly number[], removes: boolean): number[] {
  const exactly = atLeast.map((share, width) => share - (atLeast[width + 1] ?? 0)).reverse();
  return removes ? [...exactly, 1 - atLeast[0]!] : exactly;
}

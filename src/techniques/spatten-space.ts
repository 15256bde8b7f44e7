/** SpAtten's shares as a space to search: every combination of its choices is allowed. */
import type { SpattenOptions } from './spatten-options.js';
import type { OptionsSpace } from './types.js';

/** Of what the layer before keeps. */
const TOKENS = [1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2];
const HEADS = [1, 0.75, 0.5];
const VALUES = [1, 0.75, 0.5, 0.25, 0.1];

export interface SpattenSpace {
  readonly dimensions: OptionsSpace<unknown>['dimensions'];
  choice(point: readonly number[]): Pick<SpattenOptions, 'tokenShares' | 'headShares' | 'valueShare'>;
}

/** The share of values, then for each layer behind the first the shares of the tokens and heads of the layer before. */
export function spattenSpace(attentionLayers: number): SpattenSpace {
  const layers = Array.from({ length: attentionLayers - 1 }, (_, layer) => layer + 1);
  const dimensions = [
    { name: 'values used', values: VALUES },
    ...layers.flatMap((layer) => [
      { name: `layer ${layer}, tokens kept`, values: TOKENS },
      { name: `layer ${layer}, heads kept`, values: HEADS },
    ]),
  ];
  return {
    dimensions,
    choice(point) {
      const value = (at: number) => dimensions[at]!.values[point[at]!]!;
      const chained = (offset: number) => {
        let share = 1;
        return layers.map((_, layer) => (share *= value(1 + 2 * layer + offset)));
      };
      const shares = (offset: number) => (layers.length > 0 ? chained(offset) : [1]);
      return { tokenShares: shares(0), headShares: shares(1), valueShare: value(0) };
    },
  };
}

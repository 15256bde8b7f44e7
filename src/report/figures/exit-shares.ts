/** After which layers tokens leave. */
import type { DecodingResult } from '../../experiment/decoding/result.js';
import { count, percent, significant } from '../format.js';
import { depthShades } from '../palette.js';
import { FIGURE_WIDTH, type Figure } from './types.js';

/** More bars leave no room for a number on each. */
const MOST_NUMBERED = 16;

export function exitSharesFigure({ exitShares, quality }: Pick<DecodingResult, 'exitShares' | 'quality'>): Figure {
  const layers = exitShares.length;
  const shades = depthShades(layers);
  const rows = exitShares.map((share, index) => ({ layer: index + 1, share }));
  const values = rows.map(({ layer, share }) => ({
    layer,
    share,
    shade: shades[layer - 1],
    text: percent(share),
    label: `${percent(share)} of the tokens leave after layer ${layer}`,
  }));
  const x = {
    field: 'layer',
    type: 'ordinal',
    title: 'exit layer',
    axis: { labelAngle: 0, labelOverlap: true },
    scale: { paddingInner: 0.15 },
  } as const;
  const y = {
    field: 'share',
    type: 'quantitative',
    title: 'share of the tokens',
    axis: { format: '.0%', tickCount: 6 },
  } as const;
  return {
    name: 'exit-shares',
    title: 'Tokens by exit layer',
    caption:
      `Share of the ${count(quality.tokens)} test tokens that leave after each layer; after the last one, all that are left do. ` +
      `On average a token runs ${significant(quality.adapted.meanDecoders)} of ${layers} layers at its own step.`,
    rows,
    spec: {
      width: FIGURE_WIDTH,
      height: 240,
      autosize: { type: 'fit', contains: 'padding' },
      data: { values },
      layer: [
        {
          mark: { type: 'bar', stroke: '#8c959f', strokeWidth: 0.8 },
          encoding: { x, y, color: { field: 'shade', type: 'nominal', scale: null }, description: { field: 'label' } },
        },
        ...(layers <= MOST_NUMBERED
          ? [
              {
                mark: { type: 'text', baseline: 'bottom', dy: -3, fontSize: 10, aria: false },
                encoding: { x, y, text: { field: 'text' } },
              } as const,
            ]
          : []),
      ],
    },
  };
}

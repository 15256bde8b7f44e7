/** How sure a decoder must be to stop after each layer. */
import type { DecodingResult } from '../../experiment/decoding/result.js';
import { plain } from '../format.js';
import { colours, series } from '../palette.js';
import { FIGURE_WIDTH, type Figure } from './types.js';

/** Confidence is at most 1: a higher threshold means that no check is made. */
export const isChecked = (threshold: number): boolean => threshold <= 1;

export function exitThresholdsFigure({ thresholds }: Pick<DecodingResult, 'thresholds'>): Figure | undefined {
  if (thresholds.length === 0) return undefined;
  const rows = thresholds.map((threshold, index) => ({
    layer: index + 1,
    threshold,
    checked: isChecked(threshold) ? 'yes' : 'no',
  }));
  const values = rows.map(({ layer, threshold, checked }) => ({
    layer,
    threshold: Math.min(threshold, 1),
    checked,
    label: checked === 'yes' ? `after layer ${layer}: ${plain(threshold, 4)}` : `after layer ${layer}: no check`,
  }));
  const x = {
    field: 'layer',
    type: 'ordinal',
    title: 'layer',
    axis: { labelAngle: 0, labelOverlap: true, grid: false },
  } as const;
  const y = {
    field: 'threshold',
    type: 'quantitative',
    title: 'least confidence to leave',
    scale: { domain: [0, 1] as number[] },
    axis: { tickCount: 6 },
  } as const;
  return {
    name: 'exit-thresholds',
    title: 'Thresholds by layer',
    caption:
      'A token leaves after the first layer whose exit is at least this confident; after the last layer it always does.' +
      (rows.some(({ checked }) => checked === 'no') ? ' Crosses: no check is made after that layer.' : ''),
    rows,
    spec: {
      width: FIGURE_WIDTH,
      height: 200,
      autosize: { type: 'fit', contains: 'padding' },
      data: { values },
      layer: [
        {
          transform: [{ filter: "datum.checked === 'yes'" }],
          mark: { type: 'rule', strokeWidth: 2, aria: false, color: series[0] },
          encoding: { x, y, y2: { datum: 0 } },
        },
        {
          transform: [{ filter: "datum.checked === 'yes'" }],
          mark: {
            type: 'point',
            filled: true,
            opacity: 1,
            stroke: 'white',
            strokeWidth: 0.8,
            size: 70,
            color: series[0],
          },
          encoding: { x, y, description: { field: 'label' } },
        },
        {
          transform: [{ filter: "datum.checked === 'no'" }],
          mark: {
            type: 'point',
            shape: 'M-1,-1L1,1M-1,1L1,-1',
            filled: false,
            size: 110,
            strokeWidth: 1.5,
            color: colours.muted,
          },
          encoding: { x, y, description: { field: 'label' } },
        },
      ],
    },
  };
}

/** What each layer's exit knows. */
import type { DecodingResult } from '../../experiment/decoding/result.js';
import { significant } from '../format.js';
import { series } from '../palette.js';
import { FIGURE_WIDTH, type Figure } from './types.js';

export function exitLossesFigure({ exitLosses }: Pick<DecodingResult, 'exitLosses'>): Figure | undefined {
  if (exitLosses.length === 0) return undefined;
  const rows = exitLosses.map((loss, index) => ({ layer: index + 1, loss, perplexity: Math.exp(loss) }));
  const values = rows.map((row) => ({
    ...row,
    label: `after layer ${row.layer}: ${significant(row.loss, 4)} nats, perplexity ${significant(row.perplexity, 4)}`,
  }));
  return {
    name: 'exit-losses',
    title: 'Loss by exit layer',
    caption:
      'Cross entropy in nats a token on the test split if every token left after that layer; perplexity is its ' +
      'exponential. Where the line is flat, deeper layers add little on average. The vertical axis does not start at zero.',
    rows,
    spec: {
      width: FIGURE_WIDTH,
      height: 240,
      autosize: { type: 'fit', contains: 'padding' },
      data: { values },
      encoding: {
        x: {
          field: 'layer',
          type: 'ordinal',
          title: 'exit layer',
          axis: { labelAngle: 0, labelOverlap: true, grid: false },
        },
        y: {
          field: 'loss',
          type: 'quantitative',
          title: 'cross entropy (nats a token)',
          scale: { zero: false, padding: 12 },
        },
      },
      layer: [
        { mark: { type: 'line', strokeWidth: 1.5, aria: false, color: series[0] } },
        {
          mark: {
            type: 'point',
            filled: true,
            opacity: 1,
            stroke: 'white',
            strokeWidth: 0.8,
            size: 60,
            color: series[0],
          },
          encoding: { description: { field: 'label' } },
        },
      ],
    },
  };
}

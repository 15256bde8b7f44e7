/** Share of the tokens at each width, by layer, for each technique that gives tokens widths. */
import type { RunResult, WidthShares } from '../../experiment/result.js';
import { percent } from '../format.js';
import { widthShade } from '../palette.js';
import { techniqueNames } from '../techniques.js';
import type { Figure } from './types.js';

type Result = Pick<RunResult, 'widthShares' | 'technique' | 'rivals'>;

export function widthSharesFigure(result: Result): Figure | undefined {
  const names = techniqueNames(result);
  const all = [result, ...(result.rivals ?? [])].map(({ widthShares }, index) => ({
    name: names[index]!,
    widthShares,
  }));
  const rows = all.flatMap(({ name, widthShares: shares = [] }) => rowsOf(name, shares));
  if (rows.length === 0) return undefined;
  const widths = [...new Set(rows.map(({ bits }) => bits))].sort((a, b) => b - a);
  const values = rows.map((row) => ({
    ...row,
    label: `${row.technique}, layer ${row.layer}: ${percent(row.share)} of the tokens at ${row.bits} bits`,
  }));
  return {
    name: 'width-shares',
    title: 'Widths of tokens by layer',
    caption:
      'Share of the tokens at each width, over the traced sequences; 0 bits: removed. Of a technique that removes heads, ' +
      'the tokens of removed heads count as removed.',
    rows,
    spec: {
      data: { values },
      facet: { column: { field: 'technique', type: 'nominal', title: null, sort: null } },
      spec: {
        width: Math.min(280, 560 / all.length),
        height: 180,
        mark: { type: 'bar', stroke: '#8c959f', strokeWidth: 0.5 },
        encoding: {
          x: { field: 'layer', type: 'ordinal', title: 'layer', axis: { labelAngle: 0 } },
          y: {
            field: 'share',
            type: 'quantitative',
            title: 'share of the tokens',
            axis: { format: '.0%', tickCount: 5 },
          },
          order: { field: 'bits', type: 'quantitative', sort: 'descending' },
          color: {
            field: 'bits',
            type: 'ordinal',
            title: 'bits',
            scale: {
              domain: widths,
              range: widths.map(widthShade),
            },
          },
          description: { field: 'label' },
        },
      },
    },
  };
}

const rowsOf = (technique: string, shares: readonly WidthShares[]) =>
  shares.flatMap(({ layer, shares }) => shares.map(({ bits, share }) => ({ technique, layer, bits, share })));

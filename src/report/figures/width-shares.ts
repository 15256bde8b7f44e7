/** Share of the tokens at each width, by layer, for each technique that gives tokens widths. */
import type { RunResult, WidthShares } from '../../experiment/result.js';
import { percent } from '../format.js';
import { HEAT } from '../palette.js';
import type { Figure } from './types.js';

type Result = Pick<RunResult, 'widthShares' | 'technique' | 'rivals'>;

export function widthSharesFigure({ widthShares, technique, rivals = [] }: Result): Figure | undefined {
  const all = [
    { name: technique.name, widthShares },
    ...rivals.map(({ technique: { name }, ...rival }) => ({ name, ...rival })),
  ];
  const rows = all.flatMap(({ name, widthShares: shares = [] }) => rowsOf(name, shares));
  if (rows.length === 0) return undefined;
  const widths = [...new Set(rows.map(({ bits }) => bits))].sort((a, b) => b - a);
  const widest = widths[0]!;
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
              range: widths.map((bits) => HEAT[Math.round((bits / widest) * (HEAT.length - 1))]!),
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

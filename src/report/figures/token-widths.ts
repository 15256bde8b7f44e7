/** Which tokens of a text got which width, layer by layer. */
import type { RunResult, TokenWidthsExample } from '../../experiment/result.js';
import { HEAT, HEAT_INK } from '../palette.js';
import { FIGURE_WIDTH, type Figure } from './types.js';

/** Widths of a cell in px. */
const CELL = { widest: 34, narrowest: 16 };
const TEXT_FROM_BITS_SHARE = 0.5;
/** Bits that the darkest shade stands for at least, so that texts of few bits do not look like texts of many. */
const DARKEST_BITS = 8;

export function tokenWidthsFigure({ tokenWidths = [] }: Pick<RunResult, 'tokenWidths'>): Figure | undefined {
  const rows = tokenWidths.flatMap(({ sequence, tokens, layers }) =>
    layers.flatMap(({ layer, bits }) =>
      bits.map((width, position) => ({ sequence, layer, position, token: tokens[position]!, bits: width })),
    ),
  );
  if (rows.length === 0) return undefined;
  const widest = Math.max(DARKEST_BITS, ...rows.map(({ bits }) => bits));
  const widths = [...new Set(rows.map(({ bits }) => bits))].sort((a, b) => a - b);
  const colour = {
    field: 'bits',
    type: 'ordinal' as const,
    title: 'bits',
    scale: { domain: widths, range: widths.map((bits) => shade(bits / widest)) },
    legend: { orient: 'top' as const, symbolStrokeColor: '#8c959f', symbolStrokeWidth: 1 },
  };
  return {
    name: 'token-widths',
    title: 'Width of each token, layer by layer',
    caption:
      'Texts of the test split, token by token from left to right, and the bits that each layer gave them; 0 bits: the ' +
      'token is removed. Widths follow what attention gave a token in the layers before.',
    rows,
    spec: {
      spacing: 26,
      vconcat: tokenWidths.map((example) => panel(example, widest, colour)),
      resolve: { legend: { color: 'shared' } },
    },
  };
}

const shade = (share: number): string => HEAT[Math.round(share * (HEAT.length - 1))]!;

function panel({ sequence, tokens, layers }: TokenWidthsExample, widest: number, colour: object) {
  const step = Math.max(CELL.narrowest, Math.min(CELL.widest, Math.floor((FIGURE_WIDTH - 60) / tokens.length)));
  const texts = tokens.map((token) => token.trim() || '·');
  const values = layers.flatMap(({ layer, bits }) =>
    bits.map((width, position) => ({
      layer,
      position,
      bits: width,
      dark: width / widest > TEXT_FROM_BITS_SHARE,
      label: `layer ${layer}, "${texts[position]}": ${width} bits`,
    })),
  );
  const x = {
    field: 'position',
    type: 'ordinal',
    title: null,
    axis: {
      orient: 'top',
      labelAngle: -55,
      labelOverlap: false,
      labelLimit: 90,
      ticks: false,
      domain: false,
      labelExpr: `${JSON.stringify(texts)}[datum.value]`,
    },
  } as const;
  const y = { field: 'layer', type: 'ordinal', title: 'layer', axis: { ticks: false, domain: false } } as const;
  return {
    title: { text: `test text ${sequence}`, anchor: 'start' as const, frame: 'group' as const, offset: 8 },
    data: { values },
    width: { step },
    height: { step: 20 },
    layer: [
      {
        mark: { type: 'rect' as const, stroke: 'white', strokeWidth: 1 },
        encoding: { x, y, color: colour, description: { field: 'label' } },
      },
      {
        mark: { type: 'text' as const, aria: false, fontSize: 10 },
        encoding: {
          x,
          y,
          text: { field: 'bits' },
          color: { condition: { test: 'datum.dark', value: '#ffffff' }, value: HEAT_INK },
        },
      },
    ],
  };
}

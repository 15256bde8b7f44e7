/** Which tokens of a text got which width, layer by layer. */
import type { RunResult, TokenWidthsExample } from '../../experiment/result.js';
import { HEAT_INK, widthShade } from '../palette.js';
import { FIGURE_WIDTH, type Figure } from './types.js';

/** Widths of a cell in px. */
const CELL = { widest: 34, narrowest: 16 };
/** Tokens of a line, so that the letters keep their size; and of a text, so that the drawing stays a drawing. */
const LINE_TOKENS = 40;
const DRAWN_TOKENS = 160;
/** Between tokens in one string: alone, "if" would be taken for Vega's function of that name. */
const SEPARATOR = '\u0001';
/** Widths from here on have a shade that takes white digits. */
const WHITE_TEXT_FROM_BITS = 5;

/** @param caption of texts of a classifier, unless given */
export function tokenWidthsFigure(
  { tokenWidths = [] }: Pick<RunResult, 'tokenWidths'>,
  caption = TEXTS,
): Figure | undefined {
  const rows = tokenWidths.flatMap(({ sequence, tokens, layers }) =>
    layers.flatMap(({ layer, bits }) =>
      bits.map((width, position) => ({ sequence, layer, position, token: tokens[position]!, bits: width })),
    ),
  );
  if (rows.length === 0) return undefined;
  const widths = [...new Set(rows.map(({ bits }) => bits))].sort((a, b) => a - b);
  const colour = {
    field: 'bits',
    type: 'ordinal' as const,
    title: 'bits',
    scale: { domain: widths, range: widths.map(widthShade) },
    legend: { orient: 'top' as const, symbolStrokeColor: '#8c959f', symbolStrokeWidth: 1 },
  };
  return {
    name: 'token-widths',
    title: 'Width of each token, layer by layer',
    caption:
      caption +
      (tokenWidths.some(({ tokens }) => tokens.length > DRAWN_TOKENS)
        ? ` Of longer texts, the first ${DRAWN_TOKENS} tokens are drawn; all are in the data.`
        : ''),
    rows,
    spec: {
      spacing: 26,
      vconcat: tokenWidths.flatMap((example) => lines(example).map((line) => panel(line, colour))),
      resolve: { legend: { color: 'shared' } },
    },
  };
}

const TEXTS =
  'Texts of the test split, token by token from left to right, and the bits that each layer gave them; 0 bits: the ' +
  'token is removed. Widths follow what attention gave a token in the layers before.';

interface Line extends TokenWidthsExample {
  readonly title: string;
}

function lines({ sequence, tokens, layers }: TokenWidthsExample): Line[] {
  const drawn = Math.min(tokens.length, DRAWN_TOKENS);
  return Array.from({ length: Math.ceil(drawn / LINE_TOKENS) }, (_, index) => {
    const range = [index * LINE_TOKENS, Math.min(drawn, (index + 1) * LINE_TOKENS)] as const;
    return {
      title: `test text ${sequence}${drawn > LINE_TOKENS ? `, tokens ${range[0] + 1} to ${range[1]}` : ''}`,
      sequence,
      tokens: tokens.slice(...range),
      layers: layers.map(({ layer, bits }) => ({ layer, bits: bits.slice(...range) })),
    };
  });
}

function panel({ title, tokens, layers }: Line, colour: object) {
  const step = Math.max(CELL.narrowest, Math.min(CELL.widest, Math.floor((FIGURE_WIDTH - 60) / tokens.length)));
  const texts = tokens.map((token) => token.trim() || '·');
  const values = layers.flatMap(({ layer, bits }) =>
    bits.map((width, position) => ({
      layer,
      position,
      bits: width,
      dark: width >= WHITE_TEXT_FROM_BITS,
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
      labelExpr: `split(${JSON.stringify(['', ...texts].join(SEPARATOR))}, ${JSON.stringify(SEPARATOR)})[datum.value + 1]`,
    },
  } as const;
  const y = { field: 'layer', type: 'ordinal', title: 'layer', axis: { ticks: false, domain: false } } as const;
  return {
    title: { text: title, anchor: 'start' as const, frame: 'group' as const, offset: 8 },
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

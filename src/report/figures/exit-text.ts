/** A passage as a drawing, each token on the shade of the layer that it left after. */
import type { DecodingResult } from '../../experiment/decoding/result.js';
import { printable } from '../html.js';
import { depthShades, inkOn } from '../palette.js';
import { textWidth } from '../vega.js';
import { FIGURE_WIDTH, type Figure } from './types.js';

/** Sizes in px. A cell holds a token and, below it, its exit layer. */
const LETTERS = 12;
const NUMBERS = 8.5;
const LINE = 32;
const CELL = 27;
const SPACE = 4;
const GAP = 1;

/** So that the drawing stays one page; the data have every token. */
const MOST_LINES = 24;

interface Cell {
  readonly x: number;
  readonly right: number;
  readonly line: number;
}

/** What one sees of a token: line ends and tabs by their signs, anything that cannot be shown by U+FFFD. */
export function visible(token: string): string {
  return printable(token).replaceAll('\n', '↵').replaceAll('\r', '␍').replaceAll('\t', '→');
}

export function exitTextFigure({
  example,
  exitShares,
}: Pick<DecodingResult, 'example' | 'exitShares'>): Figure | undefined {
  const { tokens, exits } = example;
  if (tokens.length === 0) return undefined;
  const layers = exitShares.length;
  const shades = depthShades(layers);
  const cells = layOut(tokens);
  const values = cells.flatMap((cell, position) => {
    if (cell.line >= MOST_LINES) return [];
    const exit = exits[position]!;
    const shade = shades[exit - 1]!;
    return {
      ...cell,
      top: cell.line * LINE,
      bottom: cell.line * LINE + CELL,
      middle: (cell.x + cell.right) / 2,
      token: visible(tokens[position]!).trim(),
      exit,
      shade,
      ink: inkOn(shade),
      label: `"${visible(tokens[position]!)}": layer ${exit}`,
    };
  });
  const height = Math.min(MOST_LINES, cells.at(-1)!.line + 1) * LINE;
  const x = (field: string) => ({
    field,
    type: 'quantitative' as const,
    axis: null,
    scale: { domain: [0, FIGURE_WIDTH], nice: false },
  });
  const y = (field: string) => ({
    field,
    type: 'quantitative' as const,
    axis: null,
    scale: { domain: [0, height], reverse: true, nice: false },
  });
  const ink = { field: 'ink', type: 'nominal' as const, scale: null };
  return {
    name: 'exit-text',
    title: 'A passage, each token by the layer that it left after',
    caption:
      `From the test split. A token is the text that the decoder reads; its shade is the number of layers, 1 to ${layers}, that ` +
      'it ran before the next token was chosen: the deeper, the darker. On a screen, pointing at a token shows the number.',
    rows: tokens.map((token, position) => ({ position, token, exit: exits[position]! })),
    spec: {
      width: FIGURE_WIDTH,
      height,
      data: { values },
      layer: [
        {
          mark: { type: 'rect', cornerRadius: 2, stroke: '#8c959f', strokeWidth: 0.4 },
          encoding: {
            x: x('x'),
            x2: { field: 'right' },
            y: y('top'),
            y2: { field: 'bottom' },
            color: { field: 'shade', type: 'nominal', scale: null },
            description: { field: 'label' },
          },
        },
        {
          mark: {
            type: 'text',
            fontSize: LETTERS,
            limit: FIGURE_WIDTH - 2 * SPACE,
            dy: 10,
            baseline: 'middle',
            aria: false,
          },
          encoding: { x: x('middle'), y: y('top'), text: { field: 'token' }, color: ink },
        },
        {
          mark: { type: 'text', fontSize: NUMBERS, dy: 21, baseline: 'middle', aria: false },
          encoding: { x: x('middle'), y: y('top'), text: { field: 'exit' }, color: ink },
        },
      ],
    },
  };
}

/** Tokens from left to right; a line ends where the next token does not fit, and after a token that ends one. */
function layOut(tokens: readonly string[]): Cell[] {
  let [x, line] = [0, 0];
  return tokens.map((token) => {
    const width = Math.min(FIGURE_WIDTH, textWidth(visible(token).trim(), LETTERS) + 2 * SPACE);
    if (x > 0 && x + width > FIGURE_WIDTH) [x, line] = [0, line + 1];
    const cell = { x, right: x + Math.max(width, 2 * NUMBERS), line };
    [x, line] = token.endsWith('\n') ? [0, line + 1] : [cell.right + GAP, line];
    return cell;
  });
}

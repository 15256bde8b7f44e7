/** Where tokens leave: a passage in the shades of its exit layers, and everything known of each layer. */
import type { DecodingResult } from '../../experiment/decoding/result.js';
import { visible } from '../figures/exit-text.js';
import { isChecked } from '../figures/exit-thresholds.js';
import { percent, plain, significant } from '../format.js';
import { type Html, html, htmlTable } from '../html.js';
import { depthShades, inkOn } from '../palette.js';

type Result = Pick<DecodingResult, 'example' | 'exitShares' | 'exitLosses' | 'thresholds'>;

/** The passage as text that wraps, can be read aloud and copied; white space stays as it was. */
export function passage({ example, exitShares }: Result): Html {
  const layers = exitShares.length;
  const colours = depthShades(layers).map((shade) => `background:${shade};color:${inkOn(shade)}`);
  return html`<p class="shades" aria-hidden="true">exit layer ${colours.map((colour, index) => html` <span style="${colour}">${index + 1}</span>`)}</p>
<p class="passage">${example.tokens.map((token, position) => {
    const exit = example.exits[position]!;
    return html`<span style="${colours[exit - 1]!}" title="layer ${exit}">${shown(token, exit)}</span>`;
  })}</p>`;
}

/** Line ends are drawn as a sign that is not copied, and then kept; the number stands before a last one. */
function shown(token: string, exit: number): Html {
  const lines = token.split('\n').map((line) => line.split('\t').map(visible).join('\t'));
  const number = html`<small>${exit}</small>`;
  const numbered = lines.length > 1 && lines.at(-1) === '' ? lines.length - 2 : lines.length - 1;
  return html`${lines.map((line, index) => {
    const last = index === lines.length - 1;
    return html`${line}${!last && html`<i aria-hidden="true">↵</i>`}${index === numbered && number}${!last && '\n'}`;
  })}`;
}

/** One line for each layer. */
export function layersTable({ exitShares, exitLosses, thresholds }: Result): Html {
  const threshold = (layer: number) => {
    const least = thresholds[layer - 1];
    if (least === undefined) return '–';
    return isChecked(least) ? plain(least, 4) : 'no check';
  };
  const loss = (layer: number, digits: (loss: number) => number) => {
    const value = exitLosses[layer - 1];
    return value === undefined ? '–' : significant(digits(value), 4);
  };
  return htmlTable(
    'Layers: the confidence that a token needs to leave, the share of the test tokens that do, and what the exit is worth if ' +
      'every token takes it.',
    [
      { header: 'after layer', cell: (layer) => layer },
      { header: 'threshold', numeric: true, cell: threshold },
      { header: 'tokens', numeric: true, cell: (layer) => percent(exitShares[layer - 1]!) },
      { header: 'cross entropy (nats)', numeric: true, cell: (layer) => loss(layer, (nats) => nats) },
      { header: 'perplexity', numeric: true, cell: (layer) => loss(layer, Math.exp) },
    ],
    exitShares.map((_, index) => index + 1),
  );
}

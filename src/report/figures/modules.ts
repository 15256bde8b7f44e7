/** One machine's energy or area: a bar per component, the largest first, so that small ones keep a number of their own. */
import { percent } from '../format.js';
import { categories, colours } from '../palette.js';
import { LABEL_LIMIT, textWidth } from '../vega.js';
import { FIGURE_WIDTH, type Figure, type FigureRow } from './types.js';

export interface Module {
  readonly component: string;
  /** One after the other along the bar, in the unit of the axis. */
  readonly parts: readonly { readonly part: string; readonly value: number; readonly label: string }[];
  readonly interval: readonly [number, number];
  /** Stands beside the bar, before the share of the total. */
  readonly text: string;
}

export interface Modules {
  readonly name: string;
  readonly title: string;
  readonly caption: string;
  readonly rows: readonly FigureRow[];
  /** Above the bars: the machine and its total. */
  readonly heading: string;
  readonly axis: string;
  readonly modules: readonly Module[];
  /** In the unit of the axis. */
  readonly total: number;
}

const BAR_STEP = 30;
const SHADES = [categories[0]!, categories[4]!] as const;

export function modulesFigure({ name, title, caption, rows, heading, axis, modules, total }: Modules): Figure {
  const size = (module: Module) => module.parts.reduce((sum, part) => sum + part.value, 0);
  const sorted = [...modules]
    .sort((a, b) => size(b) - size(a))
    .map((module) => ({ ...module, text: `${module.text} (${share(size(module) / total)})` }));
  const components = sorted.map((module) => module.component);
  const parts = [...new Set(sorted.flatMap((module) => module.parts.map(({ part }) => part)))];
  // Room for the text to the right of the longest interval.
  const reach = Math.max(...sorted.map((module) => Math.max(size(module), module.interval[1]))) || 1;
  const names = Math.max(...components.map((component) => Math.min(textWidth(component, 11), LABEL_LIMIT)));
  const widest = Math.max(...sorted.map((module) => textWidth(module.text, 11)));
  const plotWidth = FIGURE_WIDTH - names - 40;
  const limit = reach * (1 + (widest + 20) / (plotWidth - widest - 20));
  const y = {
    field: 'component',
    type: 'nominal',
    title: null,
    sort: components,
    axis: { domain: false, ticks: false },
  } as const;
  const scale = { domain: [0, limit], nice: false };
  const ends = sorted.map(({ component, interval: [low, high] }) => ({ component, low, high }));
  const below = { yOffset: 9, aria: false, color: colours.ink } as const;
  return {
    name,
    title,
    caption,
    rows,
    spec: {
      title: { text: heading, anchor: 'start', frame: 'group', offset: 6 },
      width: FIGURE_WIDTH,
      height: BAR_STEP * sorted.length,
      autosize: { type: 'fit-x', contains: 'padding' },
      layer: [
        {
          data: {
            values: sorted.flatMap(({ component, parts: own }) =>
              own.map((part) => ({ component, ...part, order: parts.indexOf(part.part) })),
            ),
          },
          mark: { type: 'bar', height: 13, yOffset: -3 },
          encoding: {
            x: { field: 'value', type: 'quantitative', title: axis, stack: 'zero', scale, axis: { tickCount: 8 } },
            y,
            order: { field: 'order', type: 'quantitative' },
            color: {
              field: 'part',
              type: 'nominal',
              title: null,
              scale: { domain: parts, range: [...SHADES] },
              legend: parts.length > 1 ? { orient: 'top' } : null,
            },
            description: { field: 'label' },
          },
        },
        {
          data: { values: ends },
          mark: { type: 'rule', strokeWidth: 1.2, ...below },
          encoding: { x: { field: 'low', type: 'quantitative', scale }, x2: { field: 'high' }, y },
        },
        {
          data: {
            values: sorted.map((module) => ({ component: module.component, end: size(module), text: module.text })),
          },
          mark: { type: 'text', align: 'left', dx: 6, dy: -3, aria: false },
          encoding: { x: { field: 'end', type: 'quantitative', scale }, y, text: { field: 'text' } },
        },
      ],
    },
  };
}

/** Says of a share that rounds to nothing that it is something. */
function share(value: number): string {
  return value > 0 && value < 0.0005 ? `<${percent(0.001)}` : percent(value);
}

/** Horizontal bars with their value beside them, a panel per machine, all on one scale. */
import { categories } from '../palette.js';
import { textWidth } from '../vega.js';
import { FIGURE_WIDTH, type Figure } from './types.js';

export interface Bar {
  readonly machine: string;
  /** What the bar stands for. */
  readonly name: string;
  readonly value: number;
  /** Stands beside the bar. */
  readonly text: string;
  readonly label: string;
}

export interface BarAxis {
  readonly title: string;
  readonly scale: object;
  /** Of Vega-Lite: format, tickCount, values. */
  readonly ticks: object;
}

const BAR_STEP = 22;

/** The specification; `names` are the data fields of a bar's name and value, as a reader of the file sees them. */
export function panelBars(
  bars: readonly Bar[],
  names: { readonly name: string; readonly value: string },
  axis: BarAxis,
): Figure['spec'] {
  const machines = [...new Set(bars.map((bar) => bar.machine))];
  const nameWidth = Math.max(...bars.map((bar) => textWidth(bar.name, 11)));
  const panel = (machine: string, last: boolean) => {
    const own = bars
      .filter((bar) => bar.machine === machine)
      .map(({ name, value, text, label }) => ({ machine, [names.name]: name, [names.value]: value, text, label }));
    const y = {
      field: names.name,
      type: 'nominal',
      title: null,
      sort: null,
      axis: { domain: false, ticks: false },
    } as const;
    const x = {
      field: names.value,
      type: 'quantitative' as const,
      title: last ? axis.title : null,
      axis: { ...axis.ticks, labels: last, ticks: last },
      scale: axis.scale,
    };
    return {
      title: { text: machine, anchor: 'start' as const, frame: 'group' as const, offset: 4 },
      data: { values: own },
      width: FIGURE_WIDTH - Math.min(nameWidth, 220) - 80,
      height: BAR_STEP * own.length,
      layer: [
        {
          mark: { type: 'bar' as const, height: 14, color: categories[0]! },
          encoding: { x, y, description: { field: 'label' } },
        },
        {
          mark: { type: 'text' as const, align: 'left' as const, dx: 5, aria: false },
          encoding: { x, y, text: { field: 'text' } },
        },
      ],
    };
  };
  return { spacing: 12, vconcat: machines.map((machine, index) => panel(machine, index === machines.length - 1)) };
}

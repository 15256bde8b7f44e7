import type { SimulationResult } from '../../simulator/types.js';
import { percent } from '../format.js';
import { categories } from '../palette.js';
import { textWidth } from '../vega.js';
import { FIGURE_WIDTH, type Figure } from './types.js';

const BAR_STEP = 22;

/** Busy share of every kind of unit, machines below one another. */
export function utilisationFigure(machines: readonly SimulationResult[]): Figure | undefined {
  const rows = machines.flatMap((machine) =>
    Object.entries(machine.utilisation).map(([unit, utilisation]) => ({ machine: machine.name, unit, utilisation })),
  );
  if (rows.length === 0) return undefined;
  const values = rows.map((row) => ({
    ...row,
    text: percent(row.utilisation),
    label: `${row.machine}, ${row.unit}: busy ${percent(row.utilisation)} of the time`,
  }));
  const shown = [...new Set(rows.map((row) => row.machine))];
  const unitWidth = Math.max(...rows.map((row) => textWidth(row.unit, 11)));
  const panel = (machine: string, last: boolean) => {
    const own = values.filter((row) => row.machine === machine);
    const y = {
      field: 'unit',
      type: 'nominal',
      title: null,
      sort: null,
      axis: { domain: false, ticks: false },
    } as const;
    const x = {
      field: 'utilisation',
      type: 'quantitative' as const,
      title: last ? 'utilisation' : null,
      axis: { format: '.0%', tickCount: 10, labels: last, ticks: last },
      scale: { domain: [0, 1] },
    };
    return {
      title: { text: machine, anchor: 'start' as const, frame: 'group' as const, offset: 4 },
      data: { values: own },
      width: FIGURE_WIDTH - Math.min(unitWidth, 220) - 80,
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
  return {
    name: 'utilisation',
    title: 'Utilisation of the units',
    caption:
      'Busy cycles of each kind of unit over the cycles of the run times the number of such units. The busiest ' +
      'kind bounds the run time; the others wait for it.',
    rows,
    spec: { spacing: 12, vconcat: shown.map((machine, index) => panel(machine, index === shown.length - 1)) },
  };
}

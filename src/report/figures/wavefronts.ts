/** Where PEs of an array wait, before and after its stalls are relieved. */
import type { SimulationResult } from '../../simulator/types.js';
import { count, percent } from '../format.js';
import { HEAT } from '../palette.js';
import { type Figure, slug } from './types.js';

/** Width of all arrays side by side, px. */
const WIDTH = 640;

export const wavefrontFigures = (machines: readonly SimulationResult[]): Figure[] =>
  machines.flatMap((machine) => (machine.wavefronts?.length ? [wavefrontFigure(machine)] : []));

function wavefrontFigure({ name, wavefronts = [] }: SimulationResult): Figure {
  const rows = wavefronts.flatMap(({ title, columns, worked, waited, finished, cycles }) =>
    worked.map((work, pe) => ({
      array: title,
      row: Math.floor(pe / columns),
      column: pe % columns,
      worked: work,
      waited: waited[pe]!,
      finished: finished[pe]!,
      cycles,
    })),
  );
  const step = Math.max(4, Math.floor(WIDTH / wavefronts.reduce((sum, { columns }) => sum + columns, 0)));
  return {
    name: `wavefront-${slug(name)}`,
    title: `Where the array of ${name} waits`,
    caption:
      'Share of the time in which each PE waits while the scores of an example’s first tokens are computed: for a slower ' +
      'neighbour, for room, or for the wave to reach it. The same tokens and the same scale on both sides.',
    rows,
    spec: {
      spacing: 30,
      hconcat: wavefronts.map(({ title, cycles }) => ({
        title: { text: `${title}: ${count(cycles)} cycles`, anchor: 'start' as const, offset: 8 },
        data: {
          values: rows
            .filter((row) => row.array === title)
            .map((row) => ({
              ...row,
              share: row.waited / row.cycles,
              label: `PE ${row.row}, ${row.column}: waits ${percent(row.waited / row.cycles)} of the time`,
            })),
        },
        width: { step },
        height: { step },
        mark: { type: 'rect' as const },
        encoding: {
          x: {
            field: 'column',
            type: 'ordinal' as const,
            title: 'column of PEs',
            axis: { labelAngle: 0, ticks: false },
          },
          y: { field: 'row', type: 'ordinal' as const, title: 'row of PEs', axis: { ticks: false } },
          color: {
            field: 'share',
            type: 'quantitative' as const,
            title: 'waiting',
            scale: { domain: [0, 1], range: [...HEAT] },
            legend: { orient: 'bottom' as const, format: '.0%', gradientLength: 160, values: [0, 0.5, 1] },
          },
          description: { field: 'label' },
        },
      })),
      resolve: { legend: { color: 'shared' } },
    },
  };
}

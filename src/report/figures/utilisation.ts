import type { SimulationResult } from '../../simulator/types.js';
import { percent } from '../format.js';
import { panelBars } from './bars.js';
import type { Figure } from './types.js';

/** Busy share of every kind of unit, machines below one another. */
export function utilisationFigure(machines: readonly SimulationResult[]): Figure | undefined {
  const rows = machines.flatMap((machine) =>
    Object.entries(machine.utilisation).map(([unit, utilisation]) => ({ machine: machine.name, unit, utilisation })),
  );
  if (rows.length === 0) return undefined;
  const bars = rows.map(({ machine, unit, utilisation }) => ({
    machine,
    name: unit,
    value: utilisation,
    text: percent(utilisation),
    label: `${machine}, ${unit}: busy ${percent(utilisation)} of the time`,
  }));
  return {
    name: 'utilisation',
    title: 'Utilisation of the units',
    caption:
      'Busy cycles of each kind of unit over the cycles of the run times the number of such units. The busiest ' +
      'kind bounds the run time; the others wait for it.' +
      (rows.some(({ unit }) => /buffer$/i.test(unit)) ? ' Of a buffer, it is the filled share.' : ''),
    rows,
    spec: panelBars(
      bars,
      { name: 'unit', value: 'utilisation' },
      { title: 'utilisation', scale: { domain: [0, 1] }, ticks: { format: '.0%', tickCount: 10 } },
    ),
  };
}

import type { SimulationResult } from '../../simulator/types.js';
import { energy, energyScale, interval, percent } from '../format.js';
import { breakdownFigure } from './breakdown.js';
import { componentColours } from './components.js';
import type { Figure } from './types.js';

/** Energy of the whole workload by component. */
export function energyFigure(machines: readonly SimulationResult[]): Figure | undefined {
  if (machines.length === 0) return undefined;
  const scale = energyScale(Math.max(...machines.map((machine) => machine.energyPicojoules)));
  const rows = machines.flatMap((machine) =>
    machine.energy.map((part) => ({
      machine: machine.name,
      component: part.component,
      dynamicPicojoules: part.dynamicPicojoules,
      leakagePicojoules: part.leakagePicojoules,
      lowPicojoules: part.interval[0],
      highPicojoules: part.interval[1],
    })),
  );
  return breakdownFigure({
    name: 'energy',
    title: 'Energy by component',
    caption:
      'Energy of the whole workload on each machine, all on one scale: number of actions times energy per action, plus ' +
      'leakage over the run time, summed by component. The number beside a bar is the total; the line under it is the ' +
      "interval that the certainty of the machine's constants implies for that total.",
    rows,
    axis: `energy of the workload, ${scale.unit}`,
    segments: machines.flatMap((machine) =>
      machine.energy.map((part) => {
        const sum = part.dynamicPicojoules + part.leakagePicojoules;
        return {
          machine: machine.name,
          component: part.component,
          value: sum * scale.factor,
          label:
            `${machine.name}, ${part.component}: ${energy(sum)} (${percent(sum / machine.energyPicojoules)}), ` +
            `of it leakage ${energy(part.leakagePicojoules)}; interval ${interval(part.interval, energyScale(sum))}`,
        };
      }),
    ),
    totals: machines.map((machine) => ({
      machine: machine.name,
      value: machine.energyPicojoules * scale.factor,
      low: machine.energyInterval[0] * scale.factor,
      high: machine.energyInterval[1] * scale.factor,
      text: energy(machine.energyPicojoules),
    })),
    colours: componentColours(machines),
  });
}

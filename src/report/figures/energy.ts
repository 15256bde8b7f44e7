import type { EnergyShare, SimulationResult } from '../../simulator/types.js';
import { energy, energyScale, interval, percent } from '../format.js';
import { breakdownFigure } from './breakdown.js';
import { componentColours } from './components.js';
import { modulesFigure } from './modules.js';
import type { Figure } from './types.js';

/** Below this share of every machine's energy, leakage would be slivers: then the bars do not tell it apart. */
const LEAKAGE_SHOWN_FROM = 0.1;

/** Energy of the whole workload by component: machines on one scale, or all components of a single one. */
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
  if (machines.length === 1) return oneMachine(machines[0]!, rows);
  const splits = machines.some((machine) => leakage(machine) >= LEAKAGE_SHOWN_FROM * machine.energyPicojoules);
  return breakdownFigure({
    name: 'energy',
    title: 'Energy by component',
    caption:
      'Energy of the whole workload on each machine, all on one scale: number of actions times energy per action, plus ' +
      'leakage over the run time, summed by component. The number beside a bar is the total; the line under it is the ' +
      "interval that the certainty of the machine's constants implies for that total." +
      (splits ? ' The pale part of a colour is leakage.' : ''),
    rows,
    axis: `energy of the workload, ${scale.unit}`,
    segments: machines.flatMap((machine) =>
      machine.energy.flatMap((part) => {
        const { component, dynamicPicojoules, leakagePicojoules } = part;
        const segment = { machine: machine.name, component, label: label(machine, part) };
        if (!splits) return [{ ...segment, value: (dynamicPicojoules + leakagePicojoules) * scale.factor }];
        return [
          { ...segment, value: dynamicPicojoules * scale.factor },
          { ...segment, value: leakagePicojoules * scale.factor, pale: true },
        ];
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

function oneMachine(machine: SimulationResult, rows: Figure['rows']): Figure {
  const scale = energyScale(Math.max(...machine.energy.map(sum)));
  const [low, high] = machine.energyInterval;
  return modulesFigure({
    name: 'energy',
    title: 'Energy by component',
    caption:
      'Energy of the whole workload: number of actions times energy per action, plus leakage over the time, by ' +
      'component, with its share of the total. The line under a bar is the interval that the certainty of the ' +
      `machine's constants implies; that of the total is ${interval([low, high], energyScale(machine.energyPicojoules))}.`,
    rows,
    heading: `${machine.name}: ${energy(machine.energyPicojoules)}, of it leakage ${energy(leakage(machine))}`,
    axis: `energy of the workload, ${scale.unit}`,
    modules: machine.energy.map((part) => ({
      component: part.component,
      parts: [
        { part: 'dynamic', value: part.dynamicPicojoules * scale.factor, label: label(machine, part) },
        { part: 'leakage', value: part.leakagePicojoules * scale.factor, label: label(machine, part) },
      ],
      interval: [part.interval[0] * scale.factor, part.interval[1] * scale.factor],
      text: energy(sum(part)),
    })),
    total: machine.energyPicojoules * scale.factor,
  });
}

function label(machine: SimulationResult, part: EnergyShare): string {
  return (
    `${machine.name}, ${part.component}: ${energy(sum(part))} (${percent(sum(part) / machine.energyPicojoules)}), ` +
    `of it leakage ${energy(part.leakagePicojoules)}; interval ${interval(part.interval, energyScale(sum(part)))}`
  );
}

function sum({ dynamicPicojoules, leakagePicojoules }: EnergyShare): number {
  return dynamicPicojoules + leakagePicojoules;
}

function leakage({ energy }: SimulationResult): number {
  return energy.reduce((total, part) => total + part.leakagePicojoules, 0);
}

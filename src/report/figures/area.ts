import type { AreaShare, SimulationResult } from '../../simulator/types.js';
import { area, areaScale, interval, percent } from '../format.js';
import { breakdownFigure } from './breakdown.js';
import { componentColours } from './components.js';
import { modulesFigure } from './modules.js';
import type { Figure } from './types.js';

/** Area by component: machines on one scale, or all components of a single one. */
export function areaFigure(machines: readonly SimulationResult[]): Figure | undefined {
  if (machines.length === 0) return undefined;
  const scale = areaScale(Math.max(...machines.map((machine) => machine.areaSquareMicrometres)));
  const rows = machines.flatMap((machine) =>
    machine.area.map((part) => ({
      machine: machine.name,
      component: part.component,
      count: part.count,
      squareMicrometres: part.squareMicrometres,
      lowSquareMicrometres: part.interval[0],
      highSquareMicrometres: part.interval[1],
    })),
  );
  if (machines.length === 1) return oneMachine(machines[0]!, rows);
  return breakdownFigure({
    name: 'area',
    title: 'Area by component',
    caption:
      'Area of each machine, all on one scale: area of one instance times the number of instances, summed by component; ' +
      'only the components that are listed count. The number beside a bar is the total; the line under it ' +
      "is the interval that the certainty of the machine's constants implies for the total.",
    rows,
    axis: `area, ${scale.unit}`,
    segments: machines.flatMap((machine) =>
      machine.area.map((part) => ({
        machine: machine.name,
        component: part.component,
        value: part.squareMicrometres * scale.factor,
        label: label(machine, part),
      })),
    ),
    totals: machines.map((machine) => ({
      machine: machine.name,
      value: machine.areaSquareMicrometres * scale.factor,
      low: machine.areaInterval[0] * scale.factor,
      high: machine.areaInterval[1] * scale.factor,
      text: area(machine.areaSquareMicrometres),
    })),
    colours: componentColours(machines),
  });
}

function oneMachine(machine: SimulationResult, rows: Figure['rows']): Figure {
  const scale = areaScale(Math.max(...machine.area.map((part) => part.squareMicrometres)));
  const total = machine.areaSquareMicrometres;
  return modulesFigure({
    name: 'area',
    title: 'Area by component',
    caption:
      'Area of one instance times the number of instances, by component, with its share of the total; only the ' +
      'components that are listed count. The line under a bar is the interval that the certainty of the ' +
      `machine's constants implies; that of the total is ${interval(machine.areaInterval, areaScale(total))}.`,
    rows,
    heading: `${machine.name}: ${area(total)}`,
    axis: `area, ${scale.unit}`,
    modules: machine.area.map((part) => ({
      component: part.component,
      parts: [{ part: 'area', value: part.squareMicrometres * scale.factor, label: label(machine, part) }],
      interval: [part.interval[0] * scale.factor, part.interval[1] * scale.factor],
      text: area(part.squareMicrometres),
    })),
    total: total * scale.factor,
  });
}

function label(machine: SimulationResult, part: AreaShare): string {
  return (
    `${machine.name}, ${part.component} (${part.count}): ${area(part.squareMicrometres)} ` +
    `(${percent(part.squareMicrometres / machine.areaSquareMicrometres)}); ` +
    `interval ${interval(part.interval, areaScale(part.squareMicrometres))}`
  );
}

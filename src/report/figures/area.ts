import type { SimulationResult } from '../../simulator/types.js';
import { area, areaScale, interval, percent } from '../format.js';
import { breakdownFigure } from './breakdown.js';
import { componentColours } from './components.js';
import type { Figure } from './types.js';

/** Area of the machines by component. */
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
        label:
          `${machine.name}, ${part.component} (${part.count}): ${area(part.squareMicrometres)} ` +
          `(${percent(part.squareMicrometres / machine.areaSquareMicrometres)}); ` +
          `interval ${interval(part.interval, areaScale(part.squareMicrometres))}`,
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

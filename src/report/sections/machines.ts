/** Tables that go with the figures of the machines: energy and area by component, and the work counted. */
import type { SimulationResult } from '../../simulator/types.js';
import { words } from '../figures/types.js';
import { area, areaScale, count, energy, energyScale, interval, percent } from '../format.js';
import { type Html, html, htmlTable } from '../html.js';

interface Cell {
  readonly value: number;
  readonly interval: readonly [number, number];
}

type Machines = readonly SimulationResult[];

export function energyTable(machines: Machines): Html {
  return breakdownTable(
    'Energy by component: dynamic and leakage together, share of the total, and interval.',
    machines,
    (machine) =>
      machine.energy.map((part) => ({
        component: part.component,
        value: part.dynamicPicojoules + part.leakagePicojoules,
        interval: part.interval,
      })),
    (machine) => ({ value: machine.energyPicojoules, interval: machine.energyInterval }),
    (cell) => [energy(cell.value), cell.value === 0 ? undefined : interval(cell.interval, energyScale(cell.value))],
  );
}

export function areaTable(machines: Machines): Html {
  return breakdownTable(
    'Area by component, all its instances together, share of the total, and interval.',
    machines,
    (machine) =>
      machine.area.map((part) => ({
        component: part.component,
        value: part.squareMicrometres,
        interval: part.interval,
      })),
    (machine) => ({ value: machine.areaSquareMicrometres, interval: machine.areaInterval }),
    (cell) => [area(cell.value), cell.value === 0 ? undefined : interval(cell.interval, areaScale(cell.value))],
  );
}

function breakdownTable(
  caption: string,
  machines: Machines,
  parts: (machine: SimulationResult) => readonly (Cell & { readonly component: string })[],
  total: (machine: SimulationResult) => Cell,
  format: (cell: Cell) => readonly [string, string | undefined],
): Html {
  const TOTAL = Symbol('total');
  const cells = machines.map((machine) => ({
    machine,
    total: total(machine),
    byComponent: new Map<string | symbol, Cell>([
      ...parts(machine).map((part) => [part.component, part] as const),
      [TOTAL, total(machine)] as const,
    ]),
  }));
  const components = [...new Set(cells.flatMap((entry) => [...entry.byComponent.keys()]))].filter(
    (key) => key !== TOTAL,
  );
  return htmlTable<string | symbol>(
    caption,
    [
      { header: 'component', cell: (component) => (typeof component === 'string' ? component : 'total') },
      ...cells.map((entry) => ({
        header: entry.machine.name,
        numeric: true,
        cell: (component: string | symbol) => {
          const cell = entry.byComponent.get(component);
          if (!cell) return '–';
          const [value, range] = format(cell);
          return html`${value}${component !== TOTAL && ` (${percent(cell.value / entry.total.value)})`}${range !== undefined && html`<small>${range}</small>`}`;
        },
      })),
    ],
    [...components, TOTAL],
    { rowClass: (component) => (component === TOTAL ? 'total' : undefined) },
  );
}

export function countsTable(machines: Machines): Html | undefined {
  const names = [...new Set(machines.flatMap((machine) => Object.keys(machine.counts)))];
  if (names.length === 0) return undefined;
  return htmlTable(
    'Work counted over the whole workload.',
    [
      { header: 'count of', cell: (name) => words(name) },
      ...machines.map((machine) => ({
        header: machine.name,
        numeric: true,
        cell: (name: string) => (machine.counts[name] === undefined ? '–' : count(machine.counts[name])),
      })),
    ],
    names,
  );
}

/** The machines in figures and tables: energy and area by component, the work counted, and what happened over time. */
import type { SimulationResult } from '../../simulator/types.js';
import { areaFigure } from '../figures/area.js';
import { energyFigure } from '../figures/energy.js';
import { histogramFigures } from '../figures/histograms.js';
import { sampledMachines } from '../figures/over-time.js';
import { powerOverTimeFigure } from '../figures/power-over-time.js';
import { stallsFigure } from '../figures/stalls.js';
import { timelineFigures } from '../figures/timeline.js';
import { words } from '../figures/types.js';
import { utilisationFigure } from '../figures/utilisation.js';
import { utilisationOverTimeFigure } from '../figures/utilisation-over-time.js';
import { wavefrontFigures } from '../figures/wavefronts.js';
import { area, areaScale, count, energy, energyScale, interval, percent, quantity } from '../format.js';
import type { Gallery } from '../gallery.js';
import { type Html, type HtmlValue, html, htmlTable } from '../html.js';
import type { Section } from '../page.js';
import { PERFETTO_FILE } from '../perfetto.js';

interface Cell {
  readonly value: number;
  readonly interval: readonly [number, number];
}

type Machines = readonly SimulationResult[];

/** @param note stands before the figures */
export async function machinesSection(
  gallery: Gallery,
  machines: Machines,
  hasPerfetto: boolean,
  note?: HtmlValue,
): Promise<Section | undefined> {
  if (machines.length === 0) return undefined;
  return {
    id: 'machines',
    title: 'Machines',
    body: html`${note}${await gallery.showAll(histogramFigures(machines))}${countsTable(machines)}
${await gallery.show(energyFigure(machines))}${energyTable(machines)}
${await gallery.show(areaFigure(machines))}${areaTable(machines)}
${await gallery.show(utilisationFigure(machines))}${await gallery.showAll([
  utilisationOverTimeFigure(machines),
  powerOverTimeFigure(machines),
])}${overTimeTable(machines)}${await gallery.show(stallsFigure(machines))}${stallsTable(machines)}
${await gallery.showAll([...timelineFigures(machines), ...wavefrontFigures(machines)])}${hasPerfetto && perfettoNote()}`,
  };
}

function energyTable(machines: Machines): Html {
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

function areaTable(machines: Machines): Html {
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

function countsTable(machines: Machines): Html | undefined {
  return countTable('Work counted over the whole workload.', 'count of', machines, ({ counts }) => counts);
}

/** Machines that do not count stalls are left out. */
export function stallsTable(machines: Machines): Html | undefined {
  return countTable(
    'Stalls over the whole workload: how often something had to wait, by what it waited for.',
    'stalls by',
    machines.filter(({ stalls }) => stalls !== undefined),
    ({ stalls }) => stalls!,
  );
}

function countTable(
  caption: string,
  header: string,
  machines: Machines,
  counts: (machine: SimulationResult) => Readonly<Record<string, number>>,
): Html | undefined {
  const names = [...new Set(machines.flatMap((machine) => Object.keys(counts(machine))))];
  if (names.length === 0) return undefined;
  return htmlTable(
    caption,
    [
      { header, cell: (name) => words(name) },
      ...machines.map((machine) => ({
        header: machine.name,
        numeric: true,
        cell: (name: string) => {
          const value = counts(machine)[name];
          return value === undefined ? '–' : count(value);
        },
      })),
    ],
    names,
  );
}

/** Mean and peak of every series that machines sampled over time. */
export function overTimeTable(machines: Machines): Html | undefined {
  const show = {
    utilisation: (share: number) => percent(share),
    power: (milliwatts: number) => quantity(milliwatts * 1e-3, 'W'),
  };
  const sampled = (['utilisation', 'power'] as const).flatMap((kind) =>
    sampledMachines(machines, kind).flatMap(({ machine, series }) =>
      series.map((one) => ({ ...one, machine: machine.name, row: `${kind} of ${one.name}`, text: show[kind] })),
    ),
  );
  if (sampled.length === 0) return undefined;
  const columns = machines.filter(({ name }) => sampled.some(({ machine }) => machine === name));
  return htmlTable(
    'Mean over the run and, in small print, the highest sample.',
    [
      { header: 'over time', cell: (row) => row },
      ...columns.map(({ name }) => ({
        header: name,
        numeric: true,
        cell: (row: string) => {
          const one = sampled.find((candidate) => candidate.machine === name && candidate.row === row);
          return one ? html`${one.text(one.mean)}<small>${one.text(one.peak)}</small>` : '–';
        },
      })),
    ],
    [...new Set(sampled.map(({ row }) => row))],
  );
}

/** How to open the trace file that lies beside the report's figures. */
function perfettoNote(): Html {
  return html`<p>Timelines and values over time, a process per machine, are also in
<a href="figures/${PERFETTO_FILE}">figures/${PERFETTO_FILE}</a>: open it at <code>ui.perfetto.dev</code> with “Open trace
file”, which reads it in the browser, to zoom from the whole run to single cycles.</p>
`;
}

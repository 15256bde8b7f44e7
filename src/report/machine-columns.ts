/** The table of machines as the command line prints and exports it. */
import type { MachineOutcome } from '../experiment/result.js';
import { area, count, energy, energyScale, interval, quantity, ratio } from './format.js';
import { seconds } from './ratios.js';
import type { CellValue, Column } from './tables.js';

type Feasible = Extract<MachineOutcome, { feasible: true }>;

function column(
  key: string,
  header: string,
  value: (machine: Feasible) => CellValue,
  text?: (machine: Feasible) => string,
): Column<MachineOutcome> {
  return {
    key,
    header,
    value: (machine) => (machine.feasible ? value(machine) : undefined),
    text: text ? (machine) => (machine.feasible ? text(machine) : '–') : undefined,
  };
}

/** Why a workload does not run on a machine, in one sentence. */
export function infeasibility(machine: Extract<MachineOutcome, { feasible: false }>): string {
  const { resource, demand, bound, unit } = machine;
  return `${resource} needs ${count(demand)} ${unit} but has ${count(bound)} ${unit}`;
}

/** For formatTable; JSON and CSV carry raw numbers with the unit in their name. */
export const machineColumns: readonly Column<MachineOutcome>[] = [
  { key: 'name', header: 'machine', value: (machine) => machine.name },
  {
    key: 'feasible',
    header: 'runs',
    value: (machine) => machine.feasible,
    text: (machine) => (machine.feasible ? 'yes' : `no: ${infeasibility(machine)}`),
  },
  column(
    'cycles',
    'cycles',
    (m) => m.cycles,
    (m) => count(m.cycles),
  ),
  column('seconds', 'time', seconds, (m) => quantity(seconds(m), 's')),
  column(
    'energyPicojoules',
    'energy',
    (m) => m.energyPicojoules,
    (m) => energy(m.energyPicojoules),
  ),
  column(
    'energyLowPicojoules',
    'energy interval',
    (m) => m.energyInterval[0],
    (m) => interval(m.energyInterval, energyScale(m.energyPicojoules)),
  ),
  { ...column('energyHighPicojoules', 'energy at most', (m) => m.energyInterval[1]), dataOnly: true },
  column(
    'areaSquareMicrometres',
    'area',
    (m) => m.areaSquareMicrometres,
    (m) => area(m.areaSquareMicrometres),
  ),
  column(
    'speedup',
    'speed-up',
    (m) => m.speedup,
    (m) => ratio(m.speedup),
  ),
  column(
    'energyRatio',
    'energy saving',
    (m) => m.energyRatio,
    (m) => ratio(m.energyRatio),
  ),
  column(
    'areaRatio',
    'area ratio',
    (m) => m.areaRatio,
    (m) => ratio(m.areaRatio),
  ),
  {
    key: 'infeasibility',
    header: 'why not',
    value: (machine) => (machine.feasible ? undefined : infeasibility(machine)),
    dataOnly: true,
  },
];

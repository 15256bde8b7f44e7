/** What every machine promises, checked on one that a program brings: for its tests, whatever their framework. */
import { TandemError } from '../errors.js';
import type { Machine, SimulationResult, Workload } from './types.js';

export interface MachineSubject {
  /** Settings as a user writes them; the machine's schema fills in the rest. */
  readonly config: unknown;
  /** A fresh workload of a kind that the machine accepts, at each call; not empty, and of the same content. */
  workload(): Workload;
}

/** Sums in different orders agree to this. */
const RELATIVE_TOLERANCE = 1e-9;

/** Simulates a few times and returns each broken promise in words; none: the machine keeps them all. */
export async function checkMachine(machine: Machine, { config: given, workload }: MachineSubject): Promise<string[]> {
  const parsed = machine.schema.safeParse(given);
  if (!parsed.success) return [`its schema takes the configuration (${parsed.error.message})`];
  const broken: string[] = [];
  const promise = (text: string, kept: boolean) => {
    if (!kept) broken.push(text);
  };
  const config = parsed.data;
  const before = JSON.stringify(config);
  const name = 'a name of the user’s own';
  let reports = 0;
  const result = await machine.simulate(config, workload(), { name, onProgress: () => reports++ });
  const same = (other: unknown) => JSON.stringify(other) === JSON.stringify(result);
  promise('its simulation leaves the configuration as it is', JSON.stringify(config) === before);
  promise('equal workloads give equal results', same(await machine.simulate(config, workload(), { name })));
  promise('it reports progress', reports > 0);
  promise('the result bears the given name', result.name === name);
  promise('the result names the machine', result.machine === machine.name);
  if (machine.simulateMany) {
    const configs = [1, 2].map(() => ({ name, config }));
    const many = await machine.simulateMany(configs, workload(), {});
    promise(
      'simulateMany gives what simulate gives, once for each configuration',
      many.length === 2 && many.every(same),
    );
  }
  if (result.feasible) checkResult(result, promise);
  else promise('an infeasible result says how to make the workload fit', result.levers.length > 0);
  promise('it stops when its signal fires', await stops(machine, config, workload()));
  for (const kind of ['trace', 'gemms'] as const) {
    if (machine.accepts.includes(kind)) continue;
    promise(`it refuses ${kind} with TANDEM_CONFIG_INVALID`, await refuses(machine, config, emptyWorkload(kind)));
  }
  return broken;
}

function checkResult(result: SimulationResult, promise: (text: string, kept: boolean) => void): void {
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const close = (a: number, b: number) => Math.abs(a - b) <= RELATIVE_TOLERANCE * Math.max(Math.abs(a), Math.abs(b));
  const within = (value: number, [low, high]: readonly [number, number]) => low <= value && value <= high;
  const { cycles, energyPicojoules, areaSquareMicrometres, parts, counts } = result;
  promise('cycles are a positive number', cycles > 0 && Number.isFinite(cycles));
  promise('exact cycles are whole', result.fidelity === 'fast' || Number.isInteger(cycles));
  promise('there are laws of conservation', result.conservation.length > 0);
  promise(
    'its laws have numbers on both sides',
    result.conservation.every(({ left, right }) => Number.isFinite(left) && Number.isFinite(right)),
  );
  const energies = result.energy.map(
    ({ dynamicPicojoules, leakagePicojoules }) => dynamicPicojoules + leakagePicojoules,
  );
  promise('energies of the components sum to the total', close(sum(energies), energyPicojoules));
  promise(
    'areas of the components sum to the total',
    close(sum(result.area.map(({ squareMicrometres }) => squareMicrometres)), areaSquareMicrometres),
  );
  promise('the total energy lies in its interval', within(energyPicojoules, result.energyInterval));
  promise('the total area lies in its interval', within(areaSquareMicrometres, result.areaInterval));
  promise(
    'energies of the parts sum to the total',
    parts.length > 0 && close(sum(parts.map((part) => part.energyPicojoules)), energyPicojoules),
  );
  for (const [count, total] of Object.entries(counts)) {
    promise(
      `"${count}" of the parts sum to the total`,
      close(sum(parts.map((part) => part.counts[count] ?? 0)), total),
    );
  }
  const shares = [
    ...Object.entries(result.utilisation),
    ...parts.map((part) => [part.layer, part.utilisation] as const),
  ];
  for (const [unit, share] of shares) promise(`utilisation of ${unit} is in 0 … 1`, share >= 0 && share <= 1);
  for (const { lane, busy } of result.timeline) {
    const inOrder = busy.every(({ start, end }, i) => start <= end && (i === 0 || busy[i - 1]!.end <= start));
    promise(`busy intervals of lane "${lane}" are in order and do not overlap`, inOrder);
  }
  promise(
    'constants carry their sources',
    result.constants.length > 0 && result.constants.every(({ source }) => source !== ''),
  );
}

async function stops(machine: Machine, config: unknown, workload: Workload): Promise<boolean> {
  try {
    await machine.simulate(config, workload, { name: 'stopped', signal: AbortSignal.abort() });
    return false;
  } catch {
    return true;
  }
}

async function refuses(machine: Machine, config: unknown, workload: Workload): Promise<boolean> {
  try {
    await machine.simulate(config, workload, { name: 'refused' });
    return false;
  } catch (cause) {
    return cause instanceof TandemError && cause.code === 'TANDEM_CONFIG_INVALID';
  }
}

function emptyWorkload(kind: Workload['kind']): Workload {
  if (kind === 'gemms') return { kind, layers: [] };
  if (kind === 'requests') {
    return {
      kind,
      async *requests() {},
    };
  }
  if (kind === 'transformer') return { kind, architecture: { name: '', layers: [], vocabulary: 1, tokens: 1 } };
  async function* none() {}
  const header = { producer: '', model: '', task: '', technique: '', layers: 0, headsPerLayer: [], notes: {} };
  return { kind, header, records: none() };
}

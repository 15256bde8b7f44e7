/** Plays a workload on machines and compares them. */
import { TandemError } from '../errors.js';
import { withRatios } from '../report/ratios.js';
import type { Infeasible, Machine, SimulationOptions, SimulationResult, Workload } from '../simulator/types.js';
import { openTrace } from '../trace/files.js';
import type { TraceHeader, TraceRecord } from '../trace/types.js';
import { openRequests, readTopology } from '../workload/files.js';
import type { TransformerArchitecture } from '../workload/transformer.js';
import type { RunContext } from './api.js';
import { machineNamed, type ResolvedMachine } from './machines.js';
import type { MachineOutcome } from './result.js';

/** A workload that can be played more than once: a trace is a stream, and each machine needs it from the start. */
export interface WorkloadSource {
  readonly kind: Workload['kind'];
  /** For messages. */
  readonly name: string;
  /** Number of what `onProgress` counts (records or layers); undefined when not known. */
  readonly size: number | undefined;
  open(): Promise<Workload>;
}

/** @throws what `openTrace` throws */
export async function traceSource(path: string): Promise<WorkloadSource> {
  const { header, records } = await openTrace(path);
  const iterator = records[Symbol.asyncIterator]();
  const { value: first } = await iterator.next();
  await iterator.return?.();
  return {
    kind: 'trace',
    name: path,
    size: first?.kind === 'attention-head' ? attentionRecords(header) : undefined,
    async open() {
      const trace = await openTrace(path);
      return { kind: 'trace', header: trace.header, records: trace.records };
    },
  };
}

/** Records in memory. */
export const recordedSource = (header: TraceHeader, records: readonly TraceRecord[]): WorkloadSource => ({
  kind: 'trace',
  name: 'recorded',
  size: records.length,
  async open() {
    async function* stream() {
      yield* records;
    }
    return { kind: 'trace', header, records: stream() };
  },
});

/** @throws what `readTopology` throws */
export function gemmSource(path: string): WorkloadSource {
  const layers = readTopology(path);
  return { kind: 'gemms', name: path, size: layers.length, open: async () => ({ kind: 'gemms', layers }) };
}

export function transformerSource(architecture: TransformerArchitecture): WorkloadSource {
  const { name, layers } = architecture;
  return { kind: 'transformer', name, size: layers.length, open: async () => ({ kind: 'transformer', architecture }) };
}

/** @throws what `openRequests` throws */
export function requestSource(path: string): WorkloadSource {
  openRequests(path, Number.POSITIVE_INFINITY);
  return {
    kind: 'requests',
    name: path,
    size: undefined,
    open: async () => ({ kind: 'requests', requests: (capacityBytes) => openRequests(path, capacityBytes) }),
  };
}

/** Heads of all sequences, when the header says how many there are. */
function attentionRecords({ sequences, headsPerLayer }: TraceHeader): number | undefined {
  return sequences === undefined ? undefined : sequences * headsPerLayer.reduce((sum, heads) => sum + heads, 0);
}

/**
 * Results in the order of the machines, with ratios to the first that can run the workload. Configurations of one
 * machine share a pass over the workload where that machine can.
 * @throws TANDEM_CONFIG_INVALID when a machine does not play this kind of workload, and what simulations throw
 */
export async function simulateMachines(
  resolved: readonly ResolvedMachine[],
  source: WorkloadSource,
  { progress, signal }: RunContext,
  fidelity?: SimulationOptions['fidelity'],
): Promise<MachineOutcome[]> {
  const results = new Map<ResolvedMachine, SimulationResult | Infeasible>();
  for (const group of shared(resolved, source)) {
    const task = progress.task(
      `simulating ${group.members.map(({ name }) => name).join(', ')}`,
      source.size,
      source.kind === 'trace' ? 'records' : source.kind === 'requests' ? 'requests' : 'layers',
    );
    const options = { fidelity, signal, onProgress: (done: number) => task.update(done) };
    const outcomes = await play(group, await source.open(), options);
    for (const [index, member] of group.members.entries())
      results.set(member, withProvenance(outcomes[index]!, member));
    task.end();
  }
  return withRatios(resolved.map((machine) => results.get(machine)!));
}

interface Group {
  readonly machine: Machine;
  readonly members: readonly ResolvedMachine[];
}

async function play(
  { machine, members }: Group,
  workload: Workload,
  options: Omit<SimulationOptions, 'name'>,
): Promise<(SimulationResult | Infeasible)[]> {
  const [first] = members;
  if (members.length > 1 && machine.simulateMany) return machine.simulateMany(members, workload, options);
  return [await machine.simulate(first!.config, workload, { ...options, name: first!.name })];
}

/** Members of one group share a pass. */
function shared(resolved: readonly ResolvedMachine[], source: WorkloadSource): Group[] {
  const groups: { machine: Machine; members: ResolvedMachine[] }[] = [];
  for (const one of resolved) {
    const machine = machineNamed(one.machine);
    if (!machine.accepts.includes(source.kind)) {
      throw new TandemError('TANDEM_CONFIG_INVALID', `The machine "${one.name}" does not play ${KINDS[source.kind]}.`, {
        place: source.name,
        remedy: `It plays ${machine.accepts.map((kind) => KINDS[kind]).join(' and ')}.`,
      });
    }
    const group = machine.simulateMany && groups.find((candidate) => candidate.machine === machine);
    if (group) group.members.push(one);
    else groups.push({ machine, members: [one] });
  }
  return groups;
}

const KINDS: Readonly<Record<Workload['kind'], string>> = {
  trace: 'traces',
  gemms: 'lists of matrix products',
  transformer: 'transformers by shape',
  requests: 'requests to memory',
};

/** Adds the sources of the preset's own numbers to the constants that the simulation used. */
function withProvenance(
  result: SimulationResult | Infeasible,
  { provenance }: ResolvedMachine,
): SimulationResult | Infeasible {
  if (!result.feasible) return result;
  const known = new Set(result.constants.map(({ name }) => name));
  return { ...result, constants: [...result.constants, ...provenance.filter(({ name }) => !known.has(name))] };
}

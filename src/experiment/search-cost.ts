/** What a machine needs for a trace, as a search minimises it. */
import { TandemError } from '../errors.js';
import type { TraceHeader, TraceRecord } from '../trace/types.js';
import type { RunContext } from './api.js';
import type { SearchSettings } from './comparison-schema.js';
import type { ResolvedMachine } from './machines.js';
import { silentProgress } from './progress.js';
import { recordedSource, simulateMachines } from './simulate.js';

export interface Costing {
  readonly machine: ResolvedMachine;
  readonly minimise: SearchSettings['minimise'];
  /** Where the search stands in the experiment, for messages. */
  readonly place: string;
}

/** Cycles, picojoules or their product, at fast fidelity where the machine has it. @throws TANDEM_INFEASIBLE */
export async function costOf(
  { machine, minimise, place }: Costing,
  header: TraceHeader,
  records: readonly TraceRecord[],
  { signal }: RunContext,
): Promise<number> {
  const quiet = { progress: silentProgress, signal };
  const [outcome] = await simulateMachines([machine], recordedSource(header, records), quiet, 'fast');
  if (outcome!.feasible) {
    const { cycles, energyPicojoules: energy } = outcome!;
    return { cycles, energy, 'energy-delay': cycles * energy }[minimise];
  }
  const { resource, demand, bound, unit, levers } = outcome!;
  throw new TandemError(
    'TANDEM_INFEASIBLE',
    `${machine.name} cannot run the model: ${resource}: ${demand} > ${bound} ${unit}.`,
    { place, remedy: `Search for another machine, or change this one: ${levers.join('; ')}.` },
  );
}

/** The bits per token, or the exits, that a run measured, on the sizes of other models. */
import { withRatios } from '../report/ratios.js';
import { measureExits, stretchedExits } from '../simulator/stretched-exits.js';
import { measureShares, stretchedTrace } from '../simulator/stretched-trace.js';
import { TOEX_NOTE } from '../trace/exits.js';
import { openTrace } from '../trace/files.js';
import type { TraceHeader, TraceRecord } from '../trace/types.js';
import { namedTransformer } from '../workload/named-transformers.js';
import type { TransformerArchitecture } from '../workload/transformer.js';
import type { RunContext } from './api.js';
import { playsInference, type ResolvedMachine } from './machines.js';
import type { MachineOutcome, ShapeOutcome } from './result.js';
import type { RunFolder } from './run-folder.js';
import type { Experiment } from './schema.js';
import { recordedSource, simulateMachines } from './simulate.js';

/** Machines that play one trace. */
export interface TraceMachines {
  readonly file: string;
  readonly machines: readonly ResolvedMachine[];
}

/** One outcome for each model; ratios refer to the first machine. Simulated at fast fidelity, where machines have it. */
export async function simulateShapes(
  traces: readonly TraceMachines[],
  { shapes, seed }: Pick<Experiment, 'shapes' | 'seed'>,
  folder: RunFolder,
  context: RunContext,
): Promise<ShapeOutcome[]> {
  if (shapes === undefined) return [];
  const stretches = await Promise.all(traces.map(({ file }) => stretchOf(folder.file(file), shapes, seed)));
  const outcomes: ShapeOutcome[] = [];
  for (const model of shapes.models) {
    const played: MachineOutcome[] = [];
    for (const [index, { machines }] of traces.entries()) {
      const { header, records } = stretches[index]!(namedTransformer(model));
      const inference = machines.filter(playsInference);
      played.push(...(await simulateMachines(inference, recordedSource(header, [...records]), context, 'fast')));
    }
    outcomes.push({ model, tokens: shapes.tokens, machines: withRatios(played).map(slim) });
  }
  return outcomes;
}

type Stretch = (architecture: TransformerArchitecture) => { header: TraceHeader; records: readonly TraceRecord[] };

/** How a trace goes on other sizes: exits where it was recorded with early exit, else bits per token. */
async function stretchOf(
  file: string,
  { tokens, sequences }: NonNullable<Experiment['shapes']>,
  seed: number,
): Promise<Stretch> {
  const { header, records } = await openTrace(file);
  if (header.notes[TOEX_NOTE] === undefined) {
    const profile = await measureShares(header, records);
    return (architecture) => stretchedTrace(profile, architecture, { tokens, sequences, seed });
  }
  const profile = await measureExits(header, records, sequences);
  return (architecture) => stretchedExits(profile, architecture, { tokens });
}

function slim(outcome: MachineOutcome): ShapeOutcome['machines'][number] {
  if (!outcome.feasible) return outcome;
  const { name, feasible, cycles, energyPicojoules, speedup, energyRatio } = outcome;
  return { name, feasible, cycles, energyPicojoules, speedup, energyRatio };
}

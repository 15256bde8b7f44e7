/** The bits per token that a run measured, on the sizes of other models. */
import { withRatios } from '../report/ratios.js';
import { measureShares, stretchedTrace } from '../simulator/stretched-trace.js';
import { openTrace } from '../trace/files.js';
import { namedTransformer } from '../workload/named-transformers.js';
import type { RunContext } from './api.js';
import type { LoadedExperiment } from './load.js';
import { playsInference, type ResolvedMachine } from './machines.js';
import type { MachineOutcome, ShapeOutcome } from './result.js';
import type { RunFolder } from './run-folder.js';
import { recordedSource, simulateMachines } from './simulate.js';

/** Machines that play one trace. */
export interface TraceMachines {
  readonly file: string;
  readonly machines: readonly ResolvedMachine[];
}

/** One outcome for each model; ratios refer to the first machine. Simulated at fast fidelity, where machines have it. */
export async function simulateShapes(
  traces: readonly TraceMachines[],
  { experiment: { shapes, seed } }: LoadedExperiment,
  folder: RunFolder,
  context: RunContext,
): Promise<ShapeOutcome[]> {
  if (shapes === undefined) return [];
  const profiles = await Promise.all(
    traces.map(async ({ file }) => {
      const { header, records } = await openTrace(folder.file(file));
      return measureShares(header, records);
    }),
  );
  const outcomes: ShapeOutcome[] = [];
  for (const model of shapes.models) {
    const played: MachineOutcome[] = [];
    for (const [index, { machines }] of traces.entries()) {
      const { tokens, sequences } = shapes;
      const { header, records } = stretchedTrace(profiles[index]!, namedTransformer(model), {
        tokens,
        sequences,
        seed,
      });
      const inference = machines.filter(playsInference);
      played.push(...(await simulateMachines(inference, recordedSource(header, [...records]), context, 'fast')));
    }
    outcomes.push({ model, tokens: shapes.tokens, machines: withRatios(played).map(slim) });
  }
  return outcomes;
}

function slim(outcome: MachineOutcome): ShapeOutcome['machines'][number] {
  if (!outcome.feasible) return outcome;
  const { name, feasible, cycles, energyPicojoules, speedup, energyRatio } = outcome;
  return { name, feasible, cycles, energyPicojoules, speedup, energyRatio };
}

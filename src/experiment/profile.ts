/** Measures what a technique's parameter does: once on the validation split to choose it, once on the test split to show it. */
import { createHash } from 'node:crypto';
import { withOutputs } from '../graph/edit.js';
import { encodeModel } from '../graph/onnx/index.js';
import type { Graph } from '../graph/types.js';
import { Session } from '../runtime/session.js';
import type { ProfilePoint, SparsityProfile } from '../techniques/profile.js';
import type { InferenceRewrite, ProfiledRule, Technique } from '../techniques/types.js';
import type { TraceRecord } from '../trace/types.js';
import type { RunContext } from './api.js';
import { always, assess, observing, pass, sparsityOf } from './assess.js';
import type { LoadedExperiment } from './load.js';
import { playsInference, type ResolvedMachine } from './machines.js';
import type { EncodedSplit, Prepared } from './prepare.js';
import { silentProgress } from './progress.js';
import type { SparsityCurve, SparsityPoint } from './result.js';
import type { RunFolder } from './run-folder.js';
import type { Experiment } from './schema.js';
import { recordedSource, simulateMachines } from './simulate.js';
import { PROFILE_FILE } from './threshold.js';
import { traceHeader } from './trace-header.js';

/** Test sequences whose cost on the machines is shown along the curves. */
export const CURVE_COST_SEQUENCES = 16;

/** Tokens of the longest text of the split. */
const longest = ({ ids }: EncodedSplit): number => ids.reduce((most, { length }) => Math.max(most, length), 1);

/** A technique whose parameter is chosen from a profile, on the trained model. */
export interface Profiled<Options> {
  readonly technique: Technique<Options>;
  readonly options: Options;
  readonly graph: Graph;
}

/** The curves of the technique's own rule on the validation split, kept in the run's folder. */
export function profileModel<Options>(
  { technique, options, graph }: Profiled<Options>,
  { model, dataset, validation }: Prepared,
  { runtime }: Experiment,
  folder: RunFolder,
  context: RunContext,
): Promise<SparsityProfile> {
  return folder.stage('profile', async (stage) => {
    const [rule] = technique.profiler!.rules(graph, options, longest(validation));
    const points = comparedWithFirst(await measureRule(rule!, rule!.values, validation, runtime, context));
    const profile: SparsityProfile = {
      tandemProfile: 1,
      rule: rule!.rule,
      parameter: rule!.parameter,
      model: { name: model.name, sha256: createHash('sha256').update(encodeModel(graph)).digest('hex') },
      data: {
        name: dataset.name,
        split: 'validation',
        examples: validation.ids.length,
        sha256: dataset.sha256.validation,
      },
      points,
    };
    await stage.write(PROFILE_FILE, `${JSON.stringify(profile, null, 2)}\n`);
    return profile;
  });
}

/** Points with the share of their predictions that differ from the first one's. */
export function comparedWithFirst(points: readonly MeasuredPoint[]): ProfilePoint[] {
  const before = points[0]!.predicted;
  return points.map(({ predicted, ...point }) => {
    const changed = predicted.filter((prediction, example) => prediction !== before[example]).length;
    return { ...point, changed: changed / predicted.length };
  });
}

/** The curves of all rules on the test split; the chosen parameter is a point of the first one. */
export function measureCurves<Options>(
  { technique, options, graph, chosen }: Profiled<Options> & { readonly chosen?: number | undefined },
  prepared: Prepared,
  loaded: LoadedExperiment,
  folder: RunFolder,
  context: RunContext,
): Promise<SparsityCurve[]> {
  const { runtime } = loaded.experiment;
  const { test } = prepared;
  return folder.stage('curves', async () => {
    const curves: SparsityCurve[] = [];
    const machines = loaded.machines.filter(playsInference);
    const rules = technique.profiler?.rules ?? technique.curves!;
    for (const [index, rule] of rules(graph, options, longest(test)).entries()) {
      const isOwn = index === 0 && chosen !== undefined;
      const values = isOwn ? [...new Set([...rule.values, chosen])].sort((a, b) => a - b) : rule.values;
      const measured = await measureRule(rule, values, test, runtime, context);
      const points: SparsityPoint[] = [];
      for (const { parameter, sparsity, accuracy } of measured) {
        const costs = await costsOf(rule.rewrite(parameter), machines, prepared, loaded, context);
        points.push({ parameter, sparsity, accuracy, costs });
      }
      curves.push({ rule: rule.rule, parameter: rule.parameter, points, ...(isOwn && { chosen }) });
    }
    return curves;
  });
}

/** What the first test sequences cost on each machine when the model is pruned this way. */
async function costsOf(
  rewrite: InferenceRewrite,
  machines: readonly ResolvedMachine[],
  { model, dataset, test }: Prepared,
  { experiment }: LoadedExperiment,
  { signal }: RunContext,
): Promise<SparsityPoint['costs']> {
  if (machines.length === 0) return [];
  const sequences = Math.min(CURVE_COST_SEQUENCES, test.ids.length);
  const few = { ids: test.ids.slice(0, sequences), labels: test.labels.slice(0, sequences) };
  const records: TraceRecord[] = [];
  const quiet = { progress: silentProgress, signal };
  const observed = observing(rewrite, sequences, (record) => void records.push(record));
  await assess(rewrite.graph, few, '', experiment.runtime, quiet, observed);
  const header = traceHeader({ model, dataset }, experiment, {
    headsPerLayer: rewrite.headsPerLayer,
    split: 'test',
    sequences,
  });
  const outcomes = await simulateMachines(machines, recordedSource(header, records), quiet);
  return outcomes.flatMap((outcome) => {
    if (!outcome.feasible) return [];
    const { name, cycles, energyPicojoules } = outcome;
    return [{ machine: name, cycles, energyPicojoules }];
  });
}

/** A point of a rule's curves, with the predicted class of each example. */
export interface MeasuredPoint extends Omit<ProfilePoint, 'changed'> {
  readonly predicted: readonly number[];
}

/** One session for all values: the parameter is an input of its graph. */
export async function measureRule(
  { rule, parameter, rewrite }: ProfiledRule,
  values: readonly number[],
  split: EncodedSplit,
  runtime: Experiment['runtime'],
  { progress, signal }: RunContext,
): Promise<MeasuredPoint[]> {
  const { graph, counts } = rewrite(values[0]!);
  const session = await Session.create(withOutputs(graph, always(counts)), runtime);
  const task = progress.task(`measuring ${rule}`, values.length, 'points');
  const points: MeasuredPoint[] = [];
  try {
    for (const value of values) {
      const { metrics, predicted, zeros } = await pass(session, split, { feeds: rewrite(value).feeds, counts, signal });
      points.push({
        parameter: value,
        sparsity: sparsityOf(zeros),
        accuracy: metrics.accuracy!,
        matrices: [...zeros],
        predicted,
      });
      task.update(points.length, `${parameter} = ${value}`);
    }
  } finally {
    task.end();
    await session.dispose();
  }
  return points;
}

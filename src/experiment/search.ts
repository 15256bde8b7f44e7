/**
 * Searches the options of a technique on a trained model: the cheapest ones on a machine that lose no more accuracy than
 * allowed. Trials are measured on some validation examples; what they find is confirmed on the others (`confirmation.ts`).
 */
import { TandemError } from '../errors.js';
import { withOutputs } from '../graph/edit.js';
import type { Graph } from '../graph/types.js';
import { sureness } from '../report/format.js';
import { Session } from '../runtime/session.js';
import type { Judgement, Point } from '../search/types.js';
import type { InferenceRewrite, OptionsSpace, Ranges, Technique } from '../techniques/types.js';
import type { TraceRecord } from '../trace/types.js';
import type { RunContext } from './api.js';
import { type Assessment, always, assess, observing, pass } from './assess.js';
import type { SearchSettings } from './comparison-schema.js';
import { type ConfirmationTest, confirmInOrder, stepsOfCost } from './confirmation.js';
import type { ResolvedMachine } from './machines.js';
import { largestLoss, pairedCounts } from './paired-loss.js';
import type { EncodedSplit, Prepared } from './prepare.js';
import type { SearchOutcome, SearchTrial } from './result.js';
import type { Stage } from './run-folder.js';
import { sampled } from './sampling.js';
import type { Experiment } from './schema.js';
import { costOf } from './search-cost.js';
import { traceHeader } from './trace-header.js';

/** Judgements between two saves of an unfinished search. */
const SAVED_EVERY = 20;

export interface SearchRequest<Options = unknown> {
  readonly technique: Technique<Options>;
  readonly options: Options;
  /** As traces say it. */
  readonly named: Experiment['technique'];
  readonly settings: SearchSettings;
  /** Where the settings stand in the experiment: "search", "rivals.0.search". */
  readonly place: string;
  /** Whose cost is made small. */
  readonly machine: ResolvedMachine;
  /** The trained model as it is, and what the technique wanted to know of it; it trains nothing. */
  readonly graph: Graph;
  readonly ranges: Ranges;
}

/** What one point costs, and how accurate the model is with it. */
type Measured = Omit<SearchTrial, 'point'>;

/** Measurements by point, as a stopped search leaves them. */
export type Judgements = readonly (readonly [string, Measured])[];

/** @throws TANDEM_TARGET_UNREACHABLE where no point is sure to keep the budget */
export async function searchOptions(
  request: SearchRequest,
  prepared: Prepared,
  experiment: Experiment,
  stage: Stage<Judgements>,
  context: RunContext,
): Promise<SearchOutcome> {
  const { settings, technique, options, graph, ranges } = request;
  const space = technique.space!(graph, options, ranges);
  const { calibration, confirmation } = divided(prepared.validation, request);
  const baselineOn = (split: EncodedSplit) => assess(graph, split, 'measuring baseline', experiment.runtime, context);
  const baselines = { calibration: await baselineOn(calibration), confirmation: await baselineOn(confirmation) };
  const least = baselines.calibration.metrics.accuracy! - settings.accuracyBudget - ROUNDING;
  const judge = new Judge(request, space, calibration, baselines.calibration, prepared, experiment, stage, context);
  const { accuracyBudget, confidence } = settings;
  try {
    const first = space.dimensions.map(() => 0);
    const reference = await judge.measure(first);
    const judged = async (point: Point): Promise<Judgement> => {
      const { cost, accuracy } = await judge.measure(point);
      return { cost: cost / reference.cost, violation: least - accuracy };
    };
    const sampling = { space, settings, seed: experiment.seed, technique: technique.name, judge: judged };
    const searched = (await sampled(sampling, context)).map(({ name, runs }) => ({
      name,
      runs: runs.map(({ seed, trials }) => ({
        seed,
        trials: trials.map((trial) => ({ ...judge.known(trial.point), ...trial })),
      })),
    }));
    const kept = searched[0]!.runs.flatMap((run) => run.trials).filter(({ accuracy }) => accuracy >= least);
    const inOrder = [{ point: first, ...reference, cost: 1 }, ...stepsOfCost(kept)];
    const unseen = { split: confirmation, baseline: baselines.confirmation };
    const { chosen, tests } = await confirmed(inOrder, judge, unseen, request);
    return {
      machine: request.machine.name,
      minimised: settings.minimise,
      accuracyBudget,
      confidence,
      dimensions: space.dimensions.map(({ name, values }) => ({ name, values })),
      calibration: { examples: calibration.ids.length, baseline: baselines.calibration.metrics.accuracy! },
      confirmation: {
        examples: confirmation.ids.length,
        baseline: baselines.confirmation.metrics.accuracy!,
        steps: inOrder.length,
        tests,
      },
      referenceCost: reference.cost,
      samplers: searched,
      chosen,
    };
  } finally {
    await judge.close();
  }
}

/** Some are left to confirm on: see `requireConfirmable`. */
function divided({ ids, labels }: EncodedSplit, { settings: { calibration, costSequences } }: SearchRequest) {
  const part = (from: number, to?: number) => ({ ids: ids.slice(from, to), labels: labels.slice(from, to) });
  return {
    calibration: costedFirst(part(0, calibration), costSequences),
    confirmation: costedFirst(part(calibration), 0),
  };
}

/** Differences of accuracies, which are multiples of 1 / examples, are off by this at most. */
const ROUNDING = 1e-9;

async function confirmed(
  inOrder: readonly SearchTrial[],
  judge: Judge,
  { split, baseline }: { readonly split: EncodedSplit; readonly baseline: Assessment },
  { settings, place, technique }: SearchRequest,
): Promise<{ readonly chosen: SearchOutcome['chosen']; readonly tests: readonly ConfirmationTest[] }> {
  const { accuracyBudget: loss, confidence } = settings;
  const task = judge.context.progress.task(`confirming ${technique.name}`, inOrder.length, 'points');
  let done = 0;
  const compare = async ({ point }: SearchTrial) => {
    const predicted = await judge.predictions(point, split);
    task.update(++done);
    const counts = pairedCounts(split.labels, baseline.predicted, predicted);
    return { counts, atMost: largestLoss(counts, confidence) };
  };
  const { passed, tests } = await confirmInOrder(inOrder, loss, compare);
  task.end();
  if (passed) {
    const { counts, atMost } = passed.found;
    const accuracy = baseline.metrics.accuracy! - (counts.lost - counts.gained) / counts.examples;
    return { chosen: { ...passed.trial, confirmed: accuracy, confirmedAtMost: atMost }, tests };
  }
  throw new TandemError(
    'TANDEM_TARGET_UNREACHABLE',
    `Examples that confirm: ${split.ids.length}. They do not show with ${sureness(confidence)} that even the options of ${
      technique.name
    } that change the model least lose at most ${100 * loss} points of accuracy.`,
    {
      place: `${place}.accuracyBudget`,
      remedy: `Allow a larger loss, hold out more examples (task.validation), calibrate on fewer (${place}.calibration), or ask for less confidence (${place}.confidence).`,
    },
  );
}

/** Measures points of a space, each of them once. */
class Judge {
  readonly #known: Map<string, Measured>;
  #open: { readonly graph: Graph; readonly session: Session } | undefined;

  constructor(
    readonly request: SearchRequest,
    readonly space: OptionsSpace<unknown>,
    readonly split: EncodedSplit,
    readonly baseline: Assessment,
    readonly prepared: Prepared,
    readonly experiment: Experiment,
    readonly stage: Stage<Judgements>,
    readonly context: RunContext,
  ) {
    this.#known = new Map(stage.saved ?? []);
  }

  known(point: Point): Measured {
    return this.#known.get(point.join())!;
  }

  async measure(point: Point): Promise<Measured> {
    const found = this.#known.get(point.join());
    if (found) return found;
    const { split, baseline } = this;
    const { costSequences, confidence } = this.request.settings;
    const rewrite = this.space.rewrite(point);
    const records: TraceRecord[] = [];
    const sequences = Math.min(costSequences, split.ids.length);
    const { metrics, predicted } = await this.#pass(rewrite, split, { sequences, records });
    const measured = {
      cost: await this.#cost(rewrite, records, sequences),
      accuracy: metrics.accuracy!,
      atMost: largestLoss(pairedCounts(split.labels, baseline.predicted, predicted), confidence),
    };
    this.#known.set(point.join(), measured);
    if (this.#known.size % SAVED_EVERY === 0) await this.stage.save([...this.#known], {});
    return measured;
  }

  /** Predicted class of each example. */
  async predictions(point: Point, split: EncodedSplit): Promise<readonly number[]> {
    return (await this.#pass(this.space.rewrite(point), split)).predicted;
  }

  async close(): Promise<void> {
    await this.#open?.session.dispose();
    this.#open = undefined;
  }

  async #pass(
    rewrite: InferenceRewrite,
    split: EncodedSplit,
    traced?: { readonly sequences: number; readonly records: TraceRecord[] },
  ): Promise<Assessment> {
    const session = await this.#session(rewrite);
    const options = traced
      ? observing(rewrite, traced.sequences, (record) => void traced.records.push(record))
      : { feeds: rewrite.feeds };
    return pass(session, split, { ...options, counts: undefined, signal: this.context.signal });
  }

  /** Points that differ in feeds alone share a session. */
  async #session({ graph, observed }: InferenceRewrite): Promise<Session> {
    if (this.#open?.graph === graph) return this.#open.session;
    await this.close();
    const session = await Session.create(
      withOutputs(graph, [...always(undefined), ...observed]),
      this.experiment.runtime,
    );
    this.#open = { graph, session };
    return session;
  }

  /** In the unit of what is minimised, for the traced sequences. */
  async #cost({ headsPerLayer, notes }: InferenceRewrite, records: readonly TraceRecord[], sequences: number) {
    const { machine, named, settings, place } = this.request;
    const { seed } = this.experiment;
    const traced = { headsPerLayer, split: 'validation', sequences, ...(notes && { notes }) } as const;
    const header = traceHeader(this.prepared, { technique: named, seed }, traced);
    return costOf({ machine, minimise: settings.minimise, place }, header, records, this.context);
  }
}

/** The sequences that are simulated first, in their order; the others by length, so that batches hold little padding. */
function costedFirst({ ids, labels }: EncodedSplit, costed: number): EncodedSplit {
  const order = [...ids.keys()];
  const sorted = [
    ...order.slice(0, costed),
    ...order.slice(costed).sort((a, b) => ids[a]!.length - ids[b]!.length || a - b),
  ];
  return { ids: sorted.map((at) => ids[at]!), labels: sorted.map((at) => labels[at]!) };
}

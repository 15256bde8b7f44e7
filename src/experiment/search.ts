/**
 * Searches the options of a technique on a trained model: the cheapest ones on a machine that lose no more accuracy than
 * allowed. Trials are measured on some validation examples; what they find is confirmed on the others.
 */
import { TandemError } from '../errors.js';
import { withOutputs } from '../graph/edit.js';
import type { Graph } from '../graph/types.js';
import { Session } from '../runtime/session.js';
import { samplers } from '../search/registry.js';
import { repeatStudy } from '../search/study.js';
import type { Judgement, Point } from '../search/types.js';
import type { InferenceRewrite, OptionsSpace, Ranges, Technique } from '../techniques/types.js';
import type { TraceRecord } from '../trace/types.js';
import type { RunContext } from './api.js';
import { always, assess, observing, pass } from './assess.js';
import type { SearchSettings } from './comparison-schema.js';
import type { ResolvedMachine } from './machines.js';
import { optionsOf } from './named-options.js';
import type { EncodedSplit, Prepared } from './prepare.js';
import { silentProgress } from './progress.js';
import type { SearchOutcome, SearchTrial } from './result.js';
import type { Stage } from './run-folder.js';
import type { Experiment } from './schema.js';
import { recordedSource, simulateMachines } from './simulate.js';
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
interface Measured {
  readonly cost: number;
  readonly accuracy: number;
}

/** Measurements by point, as a stopped search leaves them. */
export type Judgements = readonly (readonly [string, Measured])[];

/** @throws TANDEM_CONFIG_INVALID for too few validation examples; TANDEM_TARGET_UNREACHABLE where no point keeps the budget */
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
  const accuracyOf = async (split: EncodedSplit) =>
    (await assess(graph, split, 'measuring baseline', experiment.runtime, context)).metrics.accuracy!;
  const baselines = { calibration: await accuracyOf(calibration), confirmation: await accuracyOf(confirmation) };
  const judge = new Judge(request, space, calibration, prepared, experiment, stage, context);
  const { accuracyBudget, trials, repetitions } = settings;
  try {
    const reference = await judge.measure(space.dimensions.map(() => 0));
    const judged = async (point: Point): Promise<Judgement> => {
      const { cost, accuracy } = await judge.measure(point);
      return { cost: cost / reference.cost, violation: baselines.calibration - accuracy - accuracyBudget - ROUNDING };
    };
    const seeds = Array.from({ length: repetitions }, (_, repetition) => experiment.seed + repetition);
    const searched: SearchOutcome['samplers'][number][] = [];
    for (const chosen of settings.samplers) {
      const { name, options: given } = optionsOf(chosen);
      const sampler = samplers.get(name);
      const task = context.progress.task(`searching ${technique.name} by ${name}`, trials * repetitions, 'trials');
      let done = 0;
      const studies = await repeatStudy({
        space,
        sampler,
        options: sampler.schema.parse(given),
        seeds,
        trials,
        judge: judged,
        signal: context.signal,
        onTrial: () => task.update(++done),
      });
      task.end();
      const runs = studies.map((study, run) => ({
        seed: seeds[run]!,
        trials: study.trials.map(({ point, cost }) => ({ point, cost, accuracy: judge.known(point).accuracy })),
      }));
      searched.push({ name, runs });
    }
    const kept = candidates(searched[0]!, baselines.calibration - accuracyBudget);
    const least = baselines.confirmation - accuracyBudget - ROUNDING;
    const confirm = (point: Point) => judge.accuracyOf(point, confirmation, least);
    return {
      machine: request.machine.name,
      minimised: settings.minimise,
      accuracyBudget,
      dimensions: space.dimensions.map(({ name, values }) => ({ name, values })),
      calibration: { examples: calibration.ids.length, baseline: baselines.calibration },
      confirmation: { examples: confirmation.ids.length, baseline: baselines.confirmation },
      referenceCost: reference.cost,
      samplers: searched,
      chosen: await confirmed(kept, confirm, request, context),
    };
  } finally {
    await judge.close();
  }
}

/** @throws TANDEM_CONFIG_INVALID when nothing is left to confirm on */
function divided({ ids, labels }: EncodedSplit, { settings, place }: SearchRequest) {
  const { calibration } = settings;
  if (ids.length > calibration) {
    const part = (from: number, to?: number) => ({ ids: ids.slice(from, to), labels: labels.slice(from, to) });
    return { calibration: part(0, calibration), confirmation: part(calibration) };
  }
  throw new TandemError(
    'TANDEM_CONFIG_INVALID',
    `Trials take ${calibration} validation examples, and there are ${ids.length}: none is left to confirm on.`,
    {
      place: `${place}.calibration`,
      remedy: 'Make it smaller, or task.validation larger.',
    },
  );
}

/** Different points that keep the budget, the cheapest first. */
function candidates({ runs }: SearchOutcome['samplers'][number], least: number): SearchTrial[] {
  const different = new Map(runs.flatMap(({ trials }) => trials).map((trial) => [trial.point.join(), trial]));
  const kept = [...different.values()].filter(({ accuracy }) => accuracy >= least - ROUNDING);
  return kept.sort((a, b) => a.cost - b.cost || b.accuracy - a.accuracy);
}

/** Examples between two looks at whether a point can still keep the budget. */
const CONFIRMED_AT_ONCE = 64;

/** Differences of accuracies, which are multiples of 1 / examples, are off by this at most. */
const ROUNDING = 1e-9;

async function confirmed(
  kept: readonly SearchTrial[],
  confirm: (point: Point) => Promise<number | undefined>,
  { settings, place, technique }: SearchRequest,
  { progress }: RunContext,
): Promise<SearchOutcome['chosen']> {
  const task = progress.task(`confirming ${technique.name}`, kept.length, 'points');
  try {
    for (const [rejected, trial] of kept.entries()) {
      const accuracy = await confirm(trial.point);
      if (accuracy !== undefined) return { ...trial, confirmed: accuracy, rejected };
      task.update(rejected + 1);
    }
  } finally {
    task.end();
  }
  throw new TandemError(
    'TANDEM_TARGET_UNREACHABLE',
    `No options of ${technique.name} that were tried lose at most ${100 * settings.accuracyBudget} points of accuracy${
      kept.length > 0 ? ` on the examples that confirm; ${kept.length} did where they were searched` : ''
    }.`,
    { place: `${place}.accuracyBudget`, remedy: 'Allow a larger loss, more trials, or more calibration examples.' },
  );
}

/** Measures points of a space, each of them once. */
class Judge {
  readonly #known: Map<string, Measured>;
  readonly #split: EncodedSplit;
  #open: { readonly graph: Graph; readonly session: Session } | undefined;

  constructor(
    readonly request: SearchRequest,
    readonly space: OptionsSpace<unknown>,
    split: EncodedSplit,
    readonly prepared: Prepared,
    readonly experiment: Experiment,
    readonly stage: Stage<Judgements>,
    readonly context: RunContext,
  ) {
    this.#known = new Map(stage.saved ?? []);
    this.#split = costedFirst(split, request.settings.costSequences);
  }

  known(point: Point): Measured {
    return this.#known.get(point.join())!;
  }

  async measure(point: Point): Promise<Measured> {
    const found = this.#known.get(point.join());
    if (found) return found;
    const rewrite = this.space.rewrite(point);
    const records: TraceRecord[] = [];
    const sequences = Math.min(this.request.settings.costSequences, this.#split.ids.length);
    const accuracy = await this.#accuracy(rewrite, this.#split, { sequences, records });
    const measured = { accuracy, cost: await this.#cost(rewrite, records, sequences) };
    this.#known.set(point.join(), measured);
    if (this.#known.size % SAVED_EVERY === 0) await this.stage.save([...this.#known], {});
    return measured;
  }

  /** Undefined as soon as it is known to be below `least`. */
  async accuracyOf(point: Point, { ids, labels }: EncodedSplit, least: number): Promise<number | undefined> {
    const rewrite = this.space.rewrite(point);
    const allowed = ids.length * (1 - least);
    let wrong = 0;
    for (let from = 0; from < ids.length; from += CONFIRMED_AT_ONCE) {
      const to = Math.min(ids.length, from + CONFIRMED_AT_ONCE);
      const part = { ids: ids.slice(from, to), labels: labels.slice(from, to) };
      wrong += Math.round((1 - (await this.#accuracy(rewrite, part))) * (to - from));
      if (wrong > allowed) return undefined;
    }
    return 1 - wrong / ids.length;
  }

  async close(): Promise<void> {
    await this.#open?.session.dispose();
    this.#open = undefined;
  }

  async #accuracy(
    rewrite: InferenceRewrite,
    split: EncodedSplit,
    traced?: { readonly sequences: number; readonly records: TraceRecord[] },
  ): Promise<number> {
    const session = await this.#session(rewrite);
    const options = traced
      ? observing(rewrite, traced.sequences, (record) => void traced.records.push(record))
      : { feeds: rewrite.feeds };
    const { metrics } = await pass(session, split, { ...options, counts: undefined, signal: this.context.signal });
    return metrics.accuracy!;
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
    const quiet = { progress: silentProgress, signal: this.context.signal };
    const [outcome] = await simulateMachines([machine], recordedSource(header, records), quiet, 'fast');
    if (outcome!.feasible) {
      const { cycles, energyPicojoules: energy } = outcome!;
      return { cycles, energy, 'energy-delay': cycles * energy }[settings.minimise];
    }
    const { resource, demand, bound, unit, levers } = outcome!;
    throw new TandemError(
      'TANDEM_INFEASIBLE',
      `${machine.name} cannot run the model: ${resource}: ${demand} > ${bound} ${unit}.`,
      { place, remedy: `Search for another machine, or change this one: ${levers.join('; ')}.` },
    );
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

/**
 * Searches the ratios of a decoder's widths: the cheapest decoding on a machine that keeps a budget of perplexity. Trials are measured on
 * some validation sequences; what they find is confirmed on the others (`confirmation.ts`).
 */
import { TandemError } from '../../errors.js';
import { sureness } from '../../report/format.js';
import type { Point } from '../../search/types.js';
import type { InferenceRewrite, OptionsSpace } from '../../techniques/types.js';
import type { TraceRecord } from '../../trace/types.js';
import type { RunContext } from '../api.js';
import { type ConfirmationTest, confirmInOrder, stepsOfCost } from '../confirmation.js';
import type { PreparedDecoding } from '../decoding/prepare.js';
import type { HeldOut } from '../decoding/profile.js';
import { decoderHeader } from '../decoding/trace.js';
import type { ResolvedMachine } from '../machines.js';
import { silentProgress } from '../progress.js';
import type { Stage } from '../run-folder.js';
import { sampled } from '../sampling.js';
import { costOf } from '../search-cost.js';
import { type Losses, type LossSession, largestPerplexityLoss, perplexityOf, stepsObserved } from './losses.js';
import type { WidthsSearch, WidthsTrial } from './result.js';
import { type PerplexitySearch, TECHNIQUE } from './schema.js';

/** Judgements between two saves of an unfinished search. */
const SAVED_EVERY = 10;

type Measured = Omit<WidthsTrial, 'point'>;

/** Measurements by point, as a stopped search leaves them. */
export type Judgements = readonly (readonly [string, Measured])[];

export interface WidthsSearchRequest {
  readonly settings: PerplexitySearch;
  /** Where the settings stand in the experiment: "search", "rivals.0.search". */
  readonly place: string;
  readonly machine: ResolvedMachine;
  readonly space: OptionsSpace<unknown>;
  readonly seed: number;
  /** The decoder as it is; and rewritten, for any point. */
  readonly baseline: LossSession;
  readonly adapted: LossSession;
  readonly prepared: PreparedDecoding;
  readonly validation: HeldOut;
}

/** @throws TANDEM_CONFIG_INVALID for too few sequences, TANDEM_TARGET_UNREACHABLE where no point is sure to keep the budget */
export async function searchWidths(
  request: WidthsSearchRequest,
  stage: Stage<Judgements>,
  context: RunContext,
): Promise<WidthsSearch> {
  const { settings, machine, space, seed, baseline } = request;
  const { perplexityBudget: budget, confidence } = settings;
  const { calibration, confirmation } = divided(request);
  const base = await baseline.losses(calibration, { label: 'measuring baseline' }, context);
  const least = perplexityOf(base);
  const judge = new Judge(request, calibration, base, stage, context);
  const first = space.dimensions.map(() => 0);
  const reference = await judge.measure(first);
  const samplers = await sampled(
    {
      space,
      settings,
      seed,
      technique: TECHNIQUE,
      async judge(point) {
        const { cost, perplexity } = await judge.measure(point);
        return { cost: cost / reference.cost, violation: perplexity / least - 1 - budget };
      },
    },
    context,
  );
  const tried = samplers.map(({ name, runs }) => ({
    name,
    runs: runs.map(({ seed, trials }) => ({
      seed,
      trials: trials.map((trial): WidthsTrial => ({ ...judge.known(trial.point), ...trial })),
    })),
  }));
  const found = tried[0]!.runs.flatMap(({ trials }) => trials);
  const kept = found.filter(({ perplexity }) => perplexity / least - 1 <= budget);
  const inOrder = [{ point: first, ...reference, cost: 1 }, ...stepsOfCost(kept)];
  const unseen = await baseline.losses(confirmation, { label: 'measuring baseline' }, context);
  const { chosen, tests } = await confirmed(inOrder, { held: confirmation, before: unseen }, judge, request);
  return {
    machine: machine.name,
    minimised: settings.minimise,
    confidence,
    perplexityBudget: budget,
    dimensions: space.dimensions.map(({ name, values }) => ({ name, values })),
    calibration: { sequences: calibration.sequences.length, baseline: least },
    confirmation: {
      sequences: confirmation.sequences.length,
      baseline: perplexityOf(unseen),
      steps: inOrder.length,
      tests,
    },
    referenceCost: reference.cost,
    samplers: tried,
    chosen,
  };
}

/** Both parts are spread evenly over the text. */
function divided({ settings: { calibration: most }, validation, place }: WidthsSearchRequest) {
  const { sequences } = validation;
  const total = sequences.length;
  if (total < most + 2) {
    throw new TandemError(
      'TANDEM_CONFIG_INVALID',
      `Trials take ${most} validation sequences of ${total}: too few are left to confirm on.`,
      { place: `${place}.calibration`, remedy: 'Make it smaller, or text.sequences larger.' },
    );
  }
  const calibrates = new Set(Array.from({ length: most }, (_, i) => Math.floor((i * total) / most)));
  const part = (inside: boolean) => ({
    ...validation,
    sequences: sequences.filter((_, at) => calibrates.has(at) === inside),
  });
  return { calibration: part(true), confirmation: part(false) };
}

async function confirmed(
  inOrder: readonly WidthsTrial[],
  { held, before }: { readonly held: HeldOut; readonly before: Losses },
  judge: Judge,
  { settings: { perplexityBudget, confidence }, place }: WidthsSearchRequest,
): Promise<{ readonly chosen: WidthsSearch['chosen']; readonly tests: readonly ConfirmationTest[] }> {
  const { passed, tests } = await confirmInOrder(inOrder, perplexityBudget, async ({ point }) => {
    const after = await judge.losses(point, held, `confirming ${TECHNIQUE}`);
    return { perplexity: perplexityOf(after), atMost: largestPerplexityLoss(before, after, confidence) };
  });
  if (passed) {
    const { perplexity, atMost } = passed.found;
    return { chosen: { ...passed.trial, confirmed: perplexity, confirmedAtMost: atMost }, tests };
  }
  throw new TandemError(
    'TANDEM_TARGET_UNREACHABLE',
    `${held.sequences.length} sequences do not show with ${sureness(confidence)} that even the widest tokens keep the budget.`,
    {
      place: `${place}.perplexityBudget`,
      remedy: `Allow a larger loss, look at more text (text.sequences), or ask for less confidence (${place}.confidence).`,
    },
  );
}

/** Measures points of the space, each of them once. */
class Judge {
  readonly #known: Map<string, Measured>;

  constructor(
    readonly request: WidthsSearchRequest,
    readonly calibration: HeldOut,
    /** Of the decoder as it is, on that text. */
    readonly baseline: Losses,
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
    const { adapted, settings, space } = this.request;
    const rewrite = space.rewrite(point);
    const records: TraceRecord[] = [];
    const observed = stepsObserved(rewrite, this.calibration.length, settings.costSequences, (all) => {
      for (const record of all) records.push(record);
    });
    const quiet = { ...this.context, progress: silentProgress };
    const losses = await adapted.losses(this.calibration, { label: '', feeds: rewrite.feeds, observed }, quiet);
    const measured = {
      cost: await this.#cost(rewrite, records),
      perplexity: perplexityOf(losses),
      atMost: largestPerplexityLoss(this.baseline, losses, settings.confidence),
    };
    this.#known.set(point.join(), measured);
    if (this.#known.size % SAVED_EVERY === 0) await this.stage.save([...this.#known], {});
    return measured;
  }

  losses(point: Point, held: HeldOut, label: string): Promise<Losses> {
    const { adapted, space } = this.request;
    return adapted.losses(held, { label, feeds: space.rewrite(point).feeds }, this.context);
  }

  #cost({ notes = {} }: InferenceRewrite, records: readonly TraceRecord[]): Promise<number> {
    const { prepared, machine, settings, seed, place } = this.request;
    const sequences = Math.min(settings.costSequences, this.calibration.sequences.length);
    const header = decoderHeader(prepared, { technique: TECHNIQUE, seed, split: 'validation', sequences, notes });
    return costOf({ machine, minimise: settings.minimise, place }, header, records, this.context);
  }
}

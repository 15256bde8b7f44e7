/** A search as figures and tables show it, whatever quality it keeps. */
import type { DecoderWidthsResult, WidthsSearch } from '../experiment/decoder-widths/result.js';
import type { ConfirmationSteps, RunResult, SearchOutcome } from '../experiment/result.js';
import { count, countOfPoints, percent, significant } from './format.js';
import { techniqueNames } from './techniques.js';

export interface SearchView {
  /** What was searched. */
  readonly technique: string;
  /** And for whom. */
  readonly machine: string;
  readonly minimised: SearchOutcome['minimised'];
  readonly samplers: readonly { readonly name: string; readonly runs: readonly SearchRun[] }[];
  readonly chosen: Pick<ViewedTrial, 'point' | 'cost' | 'quality'>;
  /** "accuracy" */
  readonly measure: string;
  /** "accuracy budget of 1 point" */
  readonly budget: string;
  /** "256 validation examples" */
  readonly calibration: string;
  /** On the examples that the trials have not seen. */
  readonly confirmation: ConfirmationSteps;
  /** "0.52 points" */
  readonly lost: (share: number) => string;
  /** The largest share that may be lost. */
  readonly mayLose: number;
  /** Up to, or from, which quality the budget is kept. */
  readonly bound: number;
  readonly keptAbove: boolean;
  readonly text: (quality: number) => string;
  /** Of an axis, as Vega writes it. */
  readonly axisFormat: string;
}

export interface ViewedTrial {
  readonly point: readonly number[];
  /** Relative to the point that changes the model least. */
  readonly cost: number;
  readonly quality: number;
  /** Whether it keeps the budget. */
  readonly keeps: boolean;
}

export interface SearchRun {
  readonly seed: number;
  readonly trials: readonly ViewedTrial[];
}

/** What was searched, and for whom. */
export interface Searched {
  readonly technique: string;
  readonly search: SearchOutcome;
}

export function searchesOf(result: Pick<RunResult, 'technique' | 'search' | 'rivals'>): Searched[] {
  const names = techniqueNames(result);
  return [result, ...(result.rivals ?? [])].flatMap(({ search }, index) =>
    search ? [{ technique: names[index]!, search }] : [],
  );
}

/** Accuracies are multiples of 1 / examples, and their differences off by less. */
const ROUNDING = 1e-9;

export function accuracyView({ technique, search }: Searched): SearchView {
  const { machine, minimised, accuracyBudget, calibration, confirmation, samplers, chosen } = search;
  const bound = calibration.baseline - accuracyBudget;
  return {
    technique,
    machine,
    minimised,
    samplers: viewed(
      samplers,
      ({ accuracy }) => accuracy,
      (accuracy) => accuracy >= bound - ROUNDING,
    ),
    chosen: { ...chosen, quality: chosen.accuracy },
    measure: 'accuracy',
    budget: `accuracy budget of ${countOfPoints(accuracyBudget)}`,
    calibration: `${count(calibration.examples)} validation examples`,
    confirmation,
    lost: countOfPoints,
    mayLose: accuracyBudget,
    bound,
    keptAbove: true,
    text: (accuracy) => percent(accuracy),
    axisFormat: '.1~%',
  };
}

/** What was searched for, with a budget of perplexity. */
export interface WidthsSearched {
  readonly technique: string;
  readonly search: WidthsSearch;
}

/** The experiment's own first. */
export const widthsSearchesOf = ({ technique, search, rivals }: DecoderWidthsResult): WidthsSearched[] =>
  [{ name: technique.name, search }, ...rivals].flatMap(({ name, search: one }) =>
    one ? [{ technique: name, search: one }] : [],
  );

export function perplexityView({ technique, search }: WidthsSearched): SearchView {
  const { machine, minimised, perplexityBudget, calibration, confirmation, samplers, chosen } = search;
  const bound = calibration.baseline * (1 + perplexityBudget);
  return {
    technique,
    machine,
    minimised,
    samplers: viewed(
      samplers,
      ({ perplexity }) => perplexity,
      (perplexity) => perplexity <= bound,
    ),
    chosen: { ...chosen, quality: chosen.perplexity },
    measure: 'perplexity',
    budget: `perplexity budget of ${percent(perplexityBudget)}`,
    calibration: `${count(calibration.sequences)} validation sequences`,
    confirmation,
    lost: (share) => percent(share, 3),
    mayLose: perplexityBudget,
    bound,
    keptAbove: false,
    text: (perplexity) => significant(perplexity, 4),
    axisFormat: '~g',
  };
}

function viewed<Trial extends Pick<ViewedTrial, 'point' | 'cost'>>(
  samplers: readonly {
    readonly name: string;
    readonly runs: readonly { readonly seed: number; readonly trials: readonly Trial[] }[];
  }[],
  quality: (trial: Trial) => number,
  keeps: (quality: number) => boolean,
): SearchView['samplers'] {
  return samplers.map(({ name, runs }) => ({
    name,
    runs: runs.map(({ seed, trials }) => ({
      seed,
      trials: trials.map((trial) => {
        const own = quality(trial);
        return { point: trial.point, cost: trial.cost, quality: own, keeps: keeps(own) };
      }),
    })),
  }));
}

/** Studies: a sampler asks, a judge answers, until the trials are used up. */
import { TandemError } from '../errors.js';
import type { Judgement, Point, Sampler, Space, Trial } from './types.js';

export interface StudyRequest<Options> {
  readonly space: Space;
  readonly sampler: Sampler<Options>;
  readonly options: Options;
  readonly trials: number;
  judge(point: Point): Promise<Judgement>;
  readonly signal?: AbortSignal | undefined;
  readonly onTrial?: (trial: Trial) => void;
}

export interface Study {
  /** In the order in which they were made; fewer than allowed where the sampler knows of no more. */
  readonly trials: readonly Trial[];
  /** The cheapest one that keeps the limit, the first of equal ones. */
  readonly best: Trial | undefined;
}

/** @throws TANDEM_ABORTED between trials; what the judge throws; TANDEM_INTERNAL for a cost or a point that is none */
export async function runStudy<Options>(request: StudyRequest<Options> & { readonly seed: number }): Promise<Study> {
  const { space, sampler, options, trials: allowed, seed, judge, signal, onTrial } = request;
  const sampling = sampler.start(space, options, { seed, trials: allowed });
  const trials: Trial[] = [];
  while (trials.length < allowed) {
    if (signal?.aborted) throw new TandemError('TANDEM_ABORTED', 'The search was stopped.', { cause: signal.reason });
    const point = sampling.ask();
    if (point === undefined) break;
    checkPoint(space, point, sampler.name);
    const trial = checked({ point, ...(await judge(point)) });
    trials.push(trial);
    sampling.tell(trial);
    onTrial?.(trial);
  }
  return { trials, best: bestOf(trials) };
}

/** A study for each seed; equal points are judged once, and still count as trials of each study. */
export async function repeatStudy<Options>(
  request: StudyRequest<Options> & { readonly seeds: readonly number[] },
): Promise<Study[]> {
  const known = new Map<string, Judgement>();
  const judge = async (point: Point): Promise<Judgement> => {
    const judgement = known.get(point.join()) ?? (await request.judge(point));
    known.set(point.join(), judgement);
    return judgement;
  };
  const studies: Study[] = [];
  for (const seed of request.seeds) studies.push(await runStudy({ ...request, judge, seed }));
  return studies;
}

export function bestOf(trials: readonly Trial[]): Trial | undefined {
  const kept = trials.filter(({ violation }) => violation <= 0);
  return kept.reduce<Trial | undefined>((best, trial) => (best && best.cost <= trial.cost ? best : trial), undefined);
}

function checkPoint({ dimensions }: Space, point: Point, sampler: string): void {
  const inside = (index: number, at: number) =>
    Number.isInteger(index) && index >= 0 && index < dimensions[at]!.values.length;
  if (point.length === dimensions.length && point.every(inside)) return;
  throw new TandemError('TANDEM_INTERNAL', `The sampler "${sampler}" asked for [${point.join(', ')}].`, {
    remedy: 'A point holds the index of a value for each dimension of the space.',
  });
}

function checked(trial: Trial): Trial {
  if (trial.cost > 0 && Number.isFinite(trial.cost) && Number.isFinite(trial.violation)) return trial;
  throw new TandemError(
    'TANDEM_INTERNAL',
    `A trial cost ${trial.cost} with a violation of ${trial.violation} at [${trial.point.join(', ')}].`,
    { remedy: 'Costs are above 0, and both are finite.' },
  );
}

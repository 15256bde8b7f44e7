/**
 * Bayesian optimisation with a limit: one Gaussian process for the logarithm of the cost, one for the violation, and the
 * point of largest expected improvement × probability of keeping the limit (Gardner et al., ICML 2014; Jones et al., 1998).
 * While nothing is known to keep the limit, the point that most probably does.
 */
import { cumulativeStdNormalProbability } from 'simple-statistics';
import { z } from 'zod';
import { fitted, type Prediction } from './gaussian-process.js';
import { Asked, dearest, moved, type RandomIndex, randomIndex, randomPoint, unitCoordinates } from './points.js';
import type { Point, Sampler, Sampling, Space, Trial } from './types.js';

const options = z.strictObject({
  initial: z
    .number()
    .min(0)
    .max(1)
    .default(0.2)
    .describe(
      'share of the trials that is spread between the dearest and the cheapest point, before any model is fitted',
    ),
  candidates: z.int().min(1).max(10000).default(256).describe('random points among which the best next one is sought'),
  trend: z
    .number()
    .min(0)
    .default(4)
    .describe('variance of the linear trend along the choices, relative to what deviates from it'),
});
type BayesianOptions = z.infer<typeof options>;

export const bayesian: Sampler<BayesianOptions> = {
  name: 'bayesian',
  description: 'Bayesian optimisation: Gaussian processes of cost and violation, constrained expected improvement.',
  schema: options,
  start: (space, chosen, { seed, trials }) => new Optimisation(space, chosen, trials, randomIndex(seed)),
};

/** E[max(0, best − cost)] of a normally distributed cost (Jones et al., 1998, eq. 15). */
export function expectedImprovement({ mean, deviation }: Prediction, best: number): number {
  if (deviation === 0) return Math.max(0, best - mean);
  const z = (best - mean) / deviation;
  const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
  return (best - mean) * cumulativeStdNormalProbability(z) + deviation * density;
}

/** That a violation is 0 or less. */
export const probabilityKept = ({ mean, deviation }: Prediction): number =>
  deviation === 0 ? (mean <= 0 ? 1 : 0) : cumulativeStdNormalProbability(-mean / deviation);

class Optimisation implements Sampling {
  readonly #asked: Asked;
  readonly #known: Trial[] = [];
  readonly #initial: Point[];

  constructor(
    readonly space: Space,
    readonly options: BayesianOptions,
    trials: number,
    readonly random: RandomIndex,
  ) {
    this.#asked = new Asked(space);
    this.#initial = this.#design(Math.max(2, Math.round(options.initial * trials)));
  }

  ask(): Point | undefined {
    const planned = this.#initial.shift();
    if (planned) return this.#asked.add(planned);
    if (this.#asked.all) return undefined;
    return this.#asked.add(this.#best(this.#candidates()));
  }

  tell(trial: Trial): void {
    this.#known.push(trial);
  }

  /** The dearest point, then points about the way to the cheapest one, each dimension off it by chance. */
  #design(count: number): Point[] {
    const chosen = new Asked(this.space);
    const points = [chosen.add(dearest(this.space))];
    for (let number = 1; number < count; number++) {
      const share = number / count;
      const point = this.space.dimensions.map(({ values }) => {
        const offset = (this.random(1001) - 500) / 1000;
        return Math.min(values.length - 1, Math.max(0, Math.round((values.length - 1) * (share + offset / 2))));
      });
      if (!chosen.has(point)) points.push(chosen.add(point));
    }
    return points;
  }

  /** Random points, and neighbours of the cheapest ones that keep the limit. */
  #candidates(): Point[] {
    const { space, random } = this;
    const kept = this.#known.filter(({ violation }) => violation <= 0).sort((a, b) => a.cost - b.cost);
    const start = kept.length > 0 ? kept : [...this.#known].sort((a, b) => a.violation - b.violation);
    const dimensions = [...space.dimensions.keys()];
    const near = start.slice(0, 3).flatMap(({ point }) => {
      const single = dimensions.flatMap((at) => [-2, -1, 1, 2, 3].map((steps) => moved(space, point, at, steps)));
      const double = dimensions.flatMap((down) =>
        dimensions.map((up) => {
          const cheaper = up === down ? undefined : moved(space, point, down, 1);
          return cheaper && moved(space, cheaper, up, -1);
        }),
      );
      return [...single, ...double];
    });
    const far = Array.from({ length: this.options.candidates }, () => randomPoint(space, random));
    const fresh = [...near, ...far].filter((point) => point !== undefined && !this.#asked.has(point)) as Point[];
    return fresh.length > 0 ? fresh : [this.#asked.fresh(random)!];
  }

  #best(candidates: readonly Point[]): Point {
    const points = this.#known.map(({ point }) => unitCoordinates(this.space, point));
    const { trend } = this.options;
    const cost = fitted(
      points,
      this.#known.map((trial) => Math.log(trial.cost)),
      trend,
    );
    const violation = fitted(
      points,
      this.#known.map((trial) => trial.violation),
      trend,
    );
    const kept = this.#known.filter((trial) => trial.violation <= 0).map((trial) => Math.log(trial.cost));
    const bound = kept.length > 0 ? Math.min(...kept) : undefined;
    const worth = (point: Point) => {
      const at = unitCoordinates(this.space, point);
      const probability = probabilityKept(violation(at));
      return bound === undefined ? probability : probability * expectedImprovement(cost(at), bound);
    };
    let [best, most] = [candidates[0]!, Number.NEGATIVE_INFINITY];
    for (const candidate of candidates) {
      const value = worth(candidate);
      if (value > most) [best, most] = [candidate, value];
    }
    return best;
  }
}

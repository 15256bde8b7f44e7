/**
 * Greedy descent. First all choices together are made cheaper, as far as the limit is kept: by bisection between the dearest
 * and the cheapest point. From there one choice after the other, in strides that halve when one goes too far. Where no
 * single choice can be made cheaper any more, two are exchanged: one becomes cheaper, another dearer.
 */
import { z } from 'zod';
import { Asked, dearest, moved, type RandomIndex, randomIndex, shuffled } from './points.js';
import type { Point, Sampler, Sampling, Space, Trial } from './types.js';

const options = z.strictObject({
  firstStride: z
    .number()
    .gt(0)
    .max(1)
    .default(0.25)
    .describe('length of a first stride along one choice, as a share of its values'),
});
type GreedyOptions = z.infer<typeof options>;

export const greedy: Sampler<GreedyOptions> = {
  name: 'greedy',
  description: 'Greedy descent: makes all choices cheaper, then one after the other, while the limit is kept.',
  schema: options,
  start: (space, { firstStride }, { seed }) => new Descent(space, firstStride, randomIndex(seed)),
};

class Descent implements Sampling {
  readonly #asked: Asked;
  readonly #strides: number[];
  /** The cheapest point that keeps the limit, and what it costs. */
  #best: Point;
  #cost = Number.POSITIVE_INFINITY;
  /** All choices together: the share of the way to the cheapest point that keeps the limit, and the next stride. */
  readonly #joint = { kept: 0, stride: 0.5 };
  /** Dimensions still to look at in this round. */
  #round: number[] = [];
  #first = true;
  /** What was asked for last. */
  #move: 'joint' | 'other' | { readonly dimension: number } = 'other';
  #exchanges: Point[] = [];

  constructor(
    readonly space: Space,
    firstStride: number,
    readonly random: RandomIndex,
  ) {
    this.#asked = new Asked(space);
    this.#best = dearest(space);
    this.#strides = space.dimensions.map(({ values }) => Math.ceil((values.length - 1) * firstStride));
  }

  ask(): Point | undefined {
    const next = this.#jointMove() ?? this.#singleMove() ?? this.#otherMove();
    return next && this.#asked.add(next);
  }

  tell({ point, cost, violation }: Trial): void {
    const keeps = violation <= 0;
    const improves = keeps && cost < this.#cost;
    const move = this.#move;
    if (move === 'joint') this.#bisect(keeps);
    else if (move === 'other') {
      if (improves) this.#reopen();
    } else if (!improves) {
      // A choice that costs the same at other values is of no use now.
      this.#strides[move.dimension] = keeps && cost === this.#cost ? 0 : this.#strides[move.dimension]! >> 1;
    }
    if (!improves) return;
    this.#best = point;
    this.#cost = cost;
    this.#exchanges = [];
  }

  /** The same share of the way along every dimension. */
  #jointMove(): Point | undefined {
    const joint = this.#joint;
    const { dimensions } = this.space;
    const finest = 1 / Math.max(...dimensions.map(({ values }) => values.length - 1));
    for (; joint.stride >= finest; joint.stride /= 2) {
      const share = joint.kept + joint.stride;
      const point = dimensions.map(({ values }) => Math.round(share * (values.length - 1)));
      if (this.#asked.has(point)) continue;
      this.#move = 'joint';
      return point;
    }
    return undefined;
  }

  #bisect(keeps: boolean): void {
    if (keeps) this.#joint.kept += this.#joint.stride;
    this.#joint.stride /= 2;
  }

  /**
   * A stride along each dimension in turn: in the space's order at first, since what it names first weighs on all that
   * follows, then in an order of its own each round.
   */
  #singleMove(): Point | undefined {
    for (;;) {
      if (this.#round.length === 0) {
        const all = [...this.#strides.keys()];
        const order = this.#first ? all.toReversed() : shuffled(all, this.random);
        this.#first = false;
        this.#round = order.filter((at) => this.#strides[at]! > 0);
        if (this.#round.length === 0) return undefined;
      }
      const dimension = this.#round.pop()!;
      for (; this.#strides[dimension]! > 0; this.#strides[dimension]! >>= 1) {
        const point = moved(this.space, this.#best, dimension, this.#strides[dimension]!);
        if (point === undefined || this.#asked.has(point)) continue;
        this.#move = { dimension };
        return point;
      }
    }
  }

  #otherMove(): Point | undefined {
    this.#move = 'other';
    return this.#exchange() ?? this.#asked.fresh(this.random);
  }

  /** One choice cheaper by a step, another dearer by one. */
  #exchange(): Point | undefined {
    if (this.#exchanges.length === 0) {
      const dimensions = [...this.space.dimensions.keys()];
      const pairs = dimensions.flatMap((down) =>
        dimensions.filter((up) => up !== down).map((up) => [down, up] as const),
      );
      this.#exchanges = shuffled(pairs, this.random).flatMap(([down, up]) => {
        const cheaper = moved(this.space, this.#best, down, 1);
        const point = cheaper && moved(this.space, cheaper, up, -1);
        return point && !this.#asked.has(point) ? [point] : [];
      });
    }
    return this.#exchanges.pop();
  }

  /** After an exchange, every choice may have room again. */
  #reopen(): void {
    for (const [at, { values }] of this.space.dimensions.entries()) if (values.length > 1) this.#strides[at] = 1;
    this.#round = [];
  }
}

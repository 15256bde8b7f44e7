/**
 * Greedy descent: from the dearest point, one choice after the other is made cheaper for as long as the limit is kept, in
 * strides that halve when one goes too far. Where no single choice can be made
 * cheaper any more, two are exchanged: one becomes cheaper, another dearer.
 */
import { z } from 'zod';
import { Asked, dearest, moved, type RandomIndex, randomIndex, shuffled } from './points.js';
import type { Point, Sampler, Sampling, Space, Trial } from './types.js';

const options = z.strictObject({
  firstStride: z
    .number()
    .gt(0)
    .max(1)
    .default(0.5)
    .describe('length of a first stride, as a share of the values of a choice'),
});
type GreedyOptions = z.infer<typeof options>;

export const greedy: Sampler<GreedyOptions> = {
  name: 'greedy',
  description: 'Greedy descent: makes one choice after the other cheaper while the limit is kept, then exchanges two.',
  schema: options,
  start: (space, { firstStride }, { seed }) => new Descent(space, firstStride, randomIndex(seed)),
};

class Descent implements Sampling {
  readonly #asked: Asked;
  readonly #strides: number[];
  /** The cheapest point that keeps the limit, and what it costs. */
  #best: Point;
  #cost = Number.POSITIVE_INFINITY;
  /** Dimensions still to look at in this round. */
  #round: number[] = [];
  /** Dimension of the move that was asked for last; undefined: none of a single choice. */
  #moved: number | undefined;
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
    this.#moved = undefined;
    if (!this.#asked.has(this.#best)) return this.#asked.add(this.#best);
    const next = this.#singleMove() ?? this.#exchange() ?? this.#asked.fresh(this.random);
    return next && this.#asked.add(next);
  }

  tell({ point, cost, violation }: Trial): void {
    if (violation <= 0 && cost < this.#cost) {
      if (this.#moved === undefined && this.#cost < Number.POSITIVE_INFINITY) this.#reopen();
      this.#best = point;
      this.#cost = cost;
      this.#exchanges = [];
      return;
    }
    if (this.#moved !== undefined) this.#strides[this.#moved]! >>= 1;
  }

  /** A stride along each dimension in turn, in an order of its own each round. */
  #singleMove(): Point | undefined {
    for (;;) {
      if (this.#round.length === 0) {
        this.#round = shuffled([...this.#strides.keys()], this.random).filter((at) => this.#strides[at]! > 0);
        if (this.#round.length === 0) return undefined;
      }
      const dimension = this.#round.pop()!;
      for (; this.#strides[dimension]! > 0; this.#strides[dimension]! >>= 1) {
        const point = moved(this.space, this.#best, dimension, this.#strides[dimension]!);
        if (point === undefined || this.#asked.has(point)) continue;
        this.#moved = dimension;
        return point;
      }
    }
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

/** Points of a space: how many there are, random ones, and where they lie between the dearest and the cheapest. */
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import type { Point, Space } from './types.js';

export type RandomIndex = (below: number) => number;

/** Equally likely integers 0 … below − 1. */
export function randomIndex(seed: number): RandomIndex {
  const generator = xoroshiro128plus(seed);
  return (below) => uniformInt(generator, 0, below - 1);
}

export const pointCount = ({ dimensions }: Space): number =>
  dimensions.reduce((count, { values }) => count * values.length, 1);

/** The point that changes the model least. */
export const dearest = ({ dimensions }: Space): Point => dimensions.map(() => 0);

export const randomPoint = ({ dimensions }: Space, random: RandomIndex): Point =>
  dimensions.map(({ values }) => random(values.length));

/** Places in 0 … 1 on each dimension; 0 on one that leaves no choice. */
export const unitCoordinates = ({ dimensions }: Space, point: Point): number[] =>
  dimensions.map(({ values }, at) => (values.length === 1 ? 0 : point[at]! / (values.length - 1)));

/** The point with one index moved; undefined beyond the ends. */
export function moved({ dimensions }: Space, point: Point, dimension: number, steps: number): Point | undefined {
  const index = point[dimension]! + steps;
  if (index < 0 || index >= dimensions[dimension]!.values.length) return undefined;
  return point.map((value, at) => (at === dimension ? index : value));
}

export function shuffled<T>(items: readonly T[], random: RandomIndex): T[] {
  const result = [...items];
  for (let at = result.length - 1; at > 0; at--) {
    const other = random(at + 1);
    [result[at], result[other]] = [result[other]!, result[at]!];
  }
  return result;
}

/** Points that were asked for already. */
export class Asked {
  readonly #points = new Set<string>();

  constructor(readonly space: Space) {}

  has(point: Point): boolean {
    return this.#points.has(point.join());
  }

  /** @returns the point itself */
  add(point: Point): Point {
    this.#points.add(point.join());
    return point;
  }

  get all(): boolean {
    return this.#points.size >= pointCount(this.space);
  }

  /** A random point that was not asked for; undefined when there is none. */
  fresh(random: RandomIndex): Point | undefined {
    if (this.all) return undefined;
    for (;;) {
      const point = randomPoint(this.space, random);
      if (!this.has(point)) return point;
    }
  }
}

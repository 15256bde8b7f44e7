import fc from 'fast-check';
import { expect, test } from 'vitest';
import { quickSelectRounds, topKCycles } from '../../src/simulator/spatten-top-k.js';

test('every round looks at fewer values, the first one at all', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 500 }), fc.integer({ min: 1, max: 499 }), fc.nat(), (length, kept, seed) => {
      fc.pre(kept < length);
      const rounds = quickSelectRounds(length, kept, seed);
      expect(rounds[0]).toBe(length);
      for (const [index, one] of rounds.slice(1).entries()) {
        expect(one).toBeLessThan(rounds[index]!);
        expect(one).toBeGreaterThan(0);
      }
    }),
  );
});

test('keeping all, or one of one, needs no engine', () => {
  expect(quickSelectRounds(5, 5, 1)).toEqual([]);
  expect(
    topKCycles({ length: 5, kept: 5, rounds: [] }, { parallelism: 4, movedIn: (values) => Math.ceil(values / 4) }),
  ).toBe(0);
});

/** Mean number of values looked at, by the recurrence over the first pivot. */
function expectedWork(length: number, kept: number, known = new Map<string, number>()): number {
  const key = `${length}/${kept}`;
  let work = known.get(key);
  if (work === undefined) {
    let behind = 0;
    for (let rank = 1; rank <= length; rank++) {
      if (rank > kept) behind += expectedWork(rank - 1, kept, known);
      if (rank < kept) behind += expectedWork(length - rank, kept - rank, known);
    }
    work = length + behind / length;
    known.set(key, work);
  }
  return work;
}

test.each([
  [40, 20],
  [60, 5],
])('the mean over pivots agrees with the recurrence: %i values, %i kept', (length, kept) => {
  const seeds = 4000;
  let sum = 0;
  for (let seed = 1; seed <= seeds; seed++) {
    sum += quickSelectRounds(length, kept, seed * 7919).reduce((total, one) => total + one, 0);
  }
  expect(sum / seeds / expectedWork(length, kept)).toBeCloseTo(1, 1);
});

test('cycles are filling, rounds and draining', () => {
  expect(
    topKCycles(
      { length: 40, kept: 10, rounds: [40, 12] },
      { parallelism: 16, movedIn: (values) => Math.ceil(values / 8) },
    ),
  ).toBe(5 + 7 + 5 + 2);
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type RowCycles, type ScheduledHead, scheduleLayer } from '../../src/simulator/spatten-schedule.js';
import { referenceLayer } from '../../src/simulator/spatten-schedule-reference.js';

const plain = (rows: readonly RowCycles[], changes: Partial<ScheduledHead> = {}): ScheduledHead => ({
  keyCycles: 5,
  valueCycles: 5,
  lowCycles: 0,
  resultCycles: 2,
  rows,
  again: [],
  firstFlat: -1,
  ...changes,
});

const busy = fc.integer({ min: 1, max: 9 });
const idle = fc.integer({ min: 0, max: 4 });
const head = fc
  .record({
    keyCycles: busy,
    valueCycles: busy,
    lowCycles: busy,
    resultCycles: busy,
    rows: fc.array(fc.tuple(busy, busy, idle, idle), { minLength: 1, maxLength: 8 }),
    flat: fc.integer({ min: 0, max: 255 }),
  })
  .map(({ flat, rows, lowCycles, ...rest }): ScheduledHead => {
    const isFlat = rows.map((_, index) => ((flat >> index) & 1) === 1);
    const again = rows.filter((_, index) => isFlat[index]);
    const first = rows.map(([key, softmax, topK, value], index): RowCycles => {
      return isFlat[index] ? [key, softmax, 0, 0] : [key, softmax, topK, value];
    });
    return {
      ...rest,
      rows: first,
      again,
      firstFlat: isFlat.indexOf(true),
      lowCycles: again.length > 0 ? lowCycles : 0,
    };
  });
const heads = fc.array(head, { minLength: 1, maxLength: 5 });

describe('the schedule of a layer', () => {
  test('takes as many cycles as the same layer played cycle by cycle', () => {
    fc.assert(
      fc.property(heads, fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 3 }), (layer, slots, queue) => {
        expect(scheduleLayer(layer, slots, queue).cycles).toBe(referenceLayer(layer, slots, queue));
      }),
      { numRuns: 400 },
    );
  });

  test('equal rows follow each other at the pace of the slowest stage', () => {
    const rows = Array.from({ length: 10 }, (): RowCycles => [3, 7, 0, 2]);
    // K, the first row's Q·Kᵀ, ten times softmax, the last row's P·V, results.
    expect(scheduleLayer([plain(rows)], 2, 2).cycles).toBe(5 + 3 + 10 * 7 + 2 + 2);
  });

  test('a second buffer hides memory behind work', () => {
    const layer = [1, 2, 3].map(() => plain(Array.from({ length: 10 }, (): RowCycles => [4, 4, 0, 4])));
    const double = scheduleLayer(layer, 2, 2);
    // V of the first head arrives while its first rows are on their way.
    expect(double.cycles).toBe(5 + 4 + 4 + 30 * 4 + 2);
    expect(scheduleLayer(layer, 1, 2).cycles).toBeGreaterThan(double.cycles);
  });

  test('a flat row waits for its low bits, and goes through again', () => {
    const first: RowCycles = [2, 2, 0, 0];
    const again: RowCycles = [2, 2, 0, 3];
    const flat = plain([first], { again: [again], firstFlat: 0, lowCycles: 20 });
    // K; Q·Kᵀ and softmax; low bits, which V does not delay; the row again; results.
    expect(scheduleLayer([flat], 2, 2).cycles).toBe(10 + 20 + 2 + 2 + 3 + 2);
  });
});

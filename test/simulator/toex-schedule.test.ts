import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { MemoryTiming } from '../../src/simulator/toex-memory.js';
import { ENGINE, EXIT, type Operation, SPECIAL, type Unit } from '../../src/simulator/toex-operations.js';
import { Schedule } from '../../src/simulator/toex-schedule.js';
import { referenceSchedule } from '../../src/simulator/toex-schedule-reference.js';

/** @param turn cycles that a write takes beside its bytes */
function memory(bytesPerCycle: number, tileBytes: number, { latencyCycles = 0, turn = 0 } = {}): MemoryTiming {
  const readCycles = (bytes: number) => Math.ceil(bytes / bytesPerCycle);
  return { readCycles, writeCycles: (bytes) => readCycles(bytes) + turn, latencyCycles, bytesPerCycle, tileBytes };
}
const timing = memory(2, 8);
const operation = (unit: Unit, cycles: number, read = 0, change: Partial<Operation> = {}): Operation => ({
  name: 'work',
  unit,
  cycles,
  read,
  write: 0,
  ...change,
});

function play(operations: readonly Operation[], timed = timing) {
  const schedule = new Schedule(timed);
  for (const one of operations) schedule.run(one);
  return { cycles: schedule.finish(), schedule };
}

describe('a product', () => {
  test('slower than memory takes its cycles after the first tile', () => {
    expect(play([operation(ENGINE, 100, 80)]).cycles).toBe(4 + 100);
  });

  test('faster than memory takes the time of its tiles, and of the last one’s use', () => {
    const { cycles, schedule } = play([operation(ENGINE, 10, 80)]);
    expect(cycles).toBe(40 + 1);
    expect(schedule.waits).toEqual({ memory: 31, special: 0, exit: 0 });
  });
});

test('tiles are fetched while other units work, two ahead and no more', () => {
  // Two tiles of the product come during the 20 cycles; the third one once the first is used.
  expect(play([operation(SPECIAL, 20), operation(ENGINE, 3, 24)]).cycles).toBe(20 + 1 + 4 + 1);
});

test('nothing is fetched ahead of a decision', () => {
  expect(play([operation(EXIT, 20, 0, { decides: true }), operation(ENGINE, 1, 8)]).cycles).toBe(20 + 4 + 1);
});

test('a memory’s latency shows at the start and behind a decision, and not while it streams', () => {
  const timed = memory(2, 8, { latencyCycles: 6 });
  expect(play([operation(ENGINE, 10, 80)], timed).cycles).toBe(6 + 40 + 1);
  expect(play([operation(EXIT, 20, 0, { decides: true }), operation(ENGINE, 1, 8)], timed).cycles).toBe(20 + 6 + 4 + 1);
});

test('a write waits for its data, then goes before the next read', () => {
  const writing = operation(SPECIAL, 5, 0, { write: 6, decides: true });
  expect(play([writing, operation(ENGINE, 1, 8)]).cycles).toBe(5 + 3 + 4 + 1);
  expect(play([writing]).cycles).toBe(5 + 3);
});

test('softmax of a head runs beside the scores of the next one', () => {
  const heads = { heads: 2, scoreCycles: 10, softmaxCycles: 6, contextCycles: 10, bytes: 0 };
  expect(play([operation(ENGINE, 40, 0, { attention: [heads] })]).cycles).toBe(40);
  expect(play([operation(ENGINE, 40, 0, { attention: [{ ...heads, softmaxCycles: 15 }] })]).cycles).toBe(
    10 + 15 + 15 + 10,
  );
});

const anyOperation: fc.Arbitrary<Operation> = fc.oneof(
  fc
    .record({
      unit: fc.constantFrom<Unit>(ENGINE, SPECIAL, EXIT),
      cycles: fc.nat(40),
      read: fc.oneof(fc.constant(0), fc.nat(120)),
      write: fc.oneof(fc.constant(0), fc.nat(20)),
      decides: fc.boolean(),
    })
    .map(({ unit, cycles, read, ...change }) => operation(unit, cycles, read, change)),
  fc
    .array(
      fc.record({
        heads: fc.integer({ min: 1, max: 3 }),
        scoreCycles: fc.nat(9),
        softmaxCycles: fc.nat(9),
        contextCycles: fc.nat(9),
        bytes: fc.nat(30),
      }),
      { minLength: 1, maxLength: 2 },
    )
    .map((attention) => operation(ENGINE, 0, 0, { attention })),
);

test('whatever is to do takes as long as played cycle by cycle, and waits and work make up the time', () => {
  fc.assert(
    fc.property(
      fc.array(anyOperation, { minLength: 1, maxLength: 12 }),
      fc.constantFrom(
        memory(2, 8),
        memory(1.5, 4),
        memory(9, 5),
        memory(2, 8, { latencyCycles: 7 }),
        memory(3, 10, { latencyCycles: 20, turn: 3 }),
      ),
      (operations, timed) => {
        const { cycles, schedule } = play(operations, timed);
        expect(cycles).toBe(referenceSchedule(operations, timed));
        const { memory, special, exit } = schedule.waits;
        expect(schedule.busy[ENGINE]! + memory + special + exit + schedule.tail).toBe(cycles);
        expect(Math.max(...schedule.busy, schedule.memoryBusy)).toBeLessThanOrEqual(cycles);
      },
    ),
    { numRuns: 500 },
  );
});

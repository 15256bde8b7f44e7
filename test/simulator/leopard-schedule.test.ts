import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HeadSchedule, type ScheduleParameters } from '../../src/simulator/leopard-schedule.js';
import { referenceSchedule, type ScheduledRow } from '../../src/simulator/leopard-schedule-reference.js';
import { KEPT } from '../../src/simulator/leopard-stops.js';

const STEPS = 6;

function schedule(rows: readonly ScheduledRow[], parameters: ScheduleParameters) {
  const fast = new HeadSchedule(parameters, STEPS);
  for (const { kind, scores, rescuedKey } of rows) {
    const stops = Uint8Array.from(scores, ({ steps, kept }) => steps | (kept ? KEPT : 0));
    if (kind === 'scan') fast.scan(stops, 0, stops.length);
    else fast.rescue(stops, 0, stops.length, rescuedKey !== undefined);
  }
  return fast.finish();
}

const score = fc.record({ steps: fc.integer({ min: 1, max: STEPS }), kept: fc.boolean() });
const row: fc.Arbitrary<ScheduledRow> = fc
  .record({ rescue: fc.boolean(), scores: fc.array(score, { minLength: 1, maxLength: 30 }) })
  .map(({ rescue, scores }) => ({
    query: 0,
    kind: rescue ? 'rescue' : 'scan',
    scores: scores.map((one, key) => ({ key, ...one })),
    ...(rescue ? { rescuedKey: 0 } : {}),
  }));
const rows = fc.array(row, { maxLength: 6 });
const parameters: fc.Arbitrary<ScheduleParameters> = fc.record({
  units: fc.integer({ min: 1, max: 9 }),
  stepCycles: fc.integer({ min: 1, max: 3 }),
  fifoDepth: fc.integer({ min: 1, max: 6 }),
  survivorCycles: fc.integer({ min: 1, max: 5 }),
});

const uniform = (count: number, steps: number, kept: boolean): ScheduledRow => ({
  query: 0,
  kind: 'scan',
  scores: Array.from({ length: count }, (_, key) => ({ key, steps, kept })),
});
const AE: ScheduleParameters = { units: 6, stepCycles: 1, fifoDepth: 16, survivorCycles: 1 };

describe('the schedule of a tile', () => {
  it('equals the plain machine in every count', () => {
    fc.assert(
      fc.property(rows, parameters, (work, machine) => {
        const { timeline: _, ...expected } = referenceSchedule(work, machine);
        expect(schedule(work, machine)).toEqual(expected);
      }),
      { numRuns: 400 },
    );
  });

  it('takes the next key as soon as a unit is idle, in order of the keys', () => {
    // Two units; steps 3, 1, 1, 4: unit 1 does keys 1 and 2 while unit 0 does key 0, then key 3 from cycle 2 to 6.
    const work = { ...uniform(4, 1, false), scores: [3, 1, 1, 4].map((steps, key) => ({ key, steps, kept: false })) };
    expect(schedule([work], { ...AE, units: 2 }).cycles).toBe(6);
    const { timeline } = referenceSchedule([work], { ...AE, units: 2 });
    expect(timeline[1]!.busy.map(({ start, end }) => [start, end])).toEqual([
      [0, 1],
      [1, 2],
      [2, 6],
    ]);
  });

  it('waits for the slowest unit at the end of each query', () => {
    const work = { ...uniform(2, 1, false), scores: [1, 6].map((steps, key) => ({ key, steps, kept: false })) };
    expect(schedule([work, work], { ...AE, units: 2 }).cycles).toBe(12);
  });

  it('runs six units of six steps at one score a cycle, the rate of the bit-parallel unit', () => {
    const rowsOf = (steps: number) => Array.from({ length: 10 }, () => uniform(48, steps, true));
    const serial = schedule(rowsOf(6), AE);
    const parallel = schedule(rowsOf(1), { ...AE, units: 1 });
    expect(serial.frontEndCycles).toBe(480);
    expect(parallel.frontEndCycles).toBe(480);
    // After the front end: the six scores of the last round one by one, or the last score.
    expect(serial.cycles).toBe(480 + 6);
    expect(parallel.cycles).toBe(480 + 1);
  });

  it('freezes units while the FIFO is full', () => {
    // Back end: 4 cycles a survivor. Pushes at the end of cycles 0 and 1 (unit 0 alone, FIFO of one): the first entry
    // is popped in cycle 1, so the second fits; the third waits until the pop in cycle 5.
    const result = schedule([uniform(3, 1, true)], { units: 1, stepCycles: 1, fifoDepth: 1, survivorCycles: 4 });
    expect(result).toMatchObject({ frontEndCycles: 6, frozenUnitCycles: 3, busyUnitCycles: 3, cycles: 13, pushes: 3 });
  });

  it('lets the back end of a query overlap the front end of the next', () => {
    const slow = schedule([uniform(8, 1, true), uniform(8, 6, false)], { ...AE, units: 8 });
    expect(slow).toMatchObject({ frontEndCycles: 7, cycles: 9, backEndBusyCycles: 8 });
  });

  it('is never slower than front end and back end one after the other, nor faster than either', () => {
    fc.assert(
      fc.property(rows, parameters, (work, machine) => {
        const result = schedule(work, machine);
        expect(result.pushes).toBe(result.pops);
        expect(result.busyUnitCycles + result.frozenUnitCycles).toBeLessThanOrEqual(
          machine.units * result.frontEndCycles,
        );
        expect(result.backEndBusyCycles).toBeLessThanOrEqual(result.cycles);
        expect(result.cycles).toBeGreaterThanOrEqual(Math.ceil(result.busyUnitCycles / machine.units));
        expect(result.cycles).toBeLessThanOrEqual(result.busyUnitCycles + result.backEndBusyCycles);
      }),
    );
  });

  it('never costs cycles to add a unit or to deepen the FIFO', () => {
    fc.assert(
      fc.property(rows, parameters, (work, machine) => {
        const { cycles } = schedule(work, machine);
        expect(schedule(work, { ...machine, units: machine.units + 1 }).cycles).toBeLessThanOrEqual(cycles);
        expect(schedule(work, { ...machine, fifoDepth: machine.fifoDepth + 1 }).cycles).toBeLessThanOrEqual(cycles);
      }),
      { numRuns: 1000 },
    );
  });
});

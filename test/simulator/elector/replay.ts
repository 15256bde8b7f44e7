/** Checks what the engine says it did, from its own record: a plain account of what a machine cannot do. */
import type { ElectorConfig } from '../../../src/simulator/elector/config.js';
import { memoryCost } from '../../../src/simulator/elector/constants.js';
import { bitsPerCycle } from '../../../src/simulator/elector/engine.js';
import type { Matrix, Program } from '../../../src/simulator/elector/operations.js';
import type { Played } from '../../../src/simulator/elector/played.js';

/** @returns what is wrong; nothing when all is well */
export function violations(program: Program, config: ElectorConfig, played: Played, resident: boolean): string[] {
  const wrong: string[] = [];
  const claim = (holds: boolean, what: string) => {
    if (!holds) wrong.push(what);
  };
  const { operations, transfers, fills, bufferBits, cycles } = played;
  claim(operations.length === program.operations.length, 'each operation once');
  claim(new Set(operations.map(({ operation }) => operation.id)).size === operations.length, 'no operation twice');
  const of = new Map(operations.map((one) => [one.operation.id, one]));
  const writersOf = (matrix: Matrix) => operations.filter(({ operation }) => operation.writes === matrix);
  const movesOf = (matrix: Matrix) => transfers.filter((transfer) => transfer.matrix === matrix);

  // Room is given in program order.
  const admitted = program.operations.map(({ id }) => of.get(id)!.admitted);
  claim(
    admitted.every((cycle, at) => at === 0 || cycle >= admitted[at - 1]!),
    'room in program order',
  );
  for (const { operation, dispatch, ready, done, admitted: from } of operations) {
    const { name } = operation;
    claim(from <= ready && ready <= dispatch.start && dispatch.start <= dispatch.end, `${name}: order of its cycles`);
    claim(dispatch.end <= done && done <= cycles, `${name}: done in time`);
    for (const matrix of operation.reads) {
      for (const writer of writersOf(matrix))
        claim(writer.done <= ready, `${name} reads ${matrix.name} before it is written`);
      const loads = movesOf(matrix).filter(({ direction }) => direction === 'load');
      if (matrix.stored && !(resident && matrix === program.embedding)) {
        // Work on a matrix that streams begins while it comes, and ends after it.
        claim(
          loads.some(({ start, end }) => start < ready && end <= done),
          `${name} reads ${matrix.name}, which was not loaded`,
        );
      }
    }
    // What left for main memory comes back before it is used.
    for (const matrix of operation.touches) {
      const before = movesOf(matrix).filter(({ start }) => start < ready);
      claim(before.at(-1)?.direction !== 'store', `${name} uses ${matrix.name}, which had left`);
    }
  }

  // One transfer at a time, each as long as its bits take.
  const rate = bitsPerCycle(memoryCost(config.memory), config.technology.clockHertz);
  transfers.forEach(({ start, end, size }, at) => {
    claim(at === 0 || start >= transfers[at - 1]!.end, 'one transfer at a time');
    claim(end - start === Math.ceil((size.data + size.mask) / rate), 'a transfer takes its bits over the bandwidth');
  });
  for (const matrix of program.matrices) {
    const stores = movesOf(matrix).filter(({ direction }) => direction === 'store');
    if (!matrix.kept) continue;
    const last = Math.max(...writersOf(matrix).map(({ done }) => done));
    claim(
      stores.some(({ start }) => start >= last),
      `${matrix.name} is stored once it is whole`,
    );
  }

  // Never more in a buffer than it holds, and never less than nothing.
  const inside = { activation: 0, weight: 0, mask: 0 };
  for (const { buffer, bits } of fills.toSorted((a, b) => a.cycle - b.cycle)) {
    inside[buffer] += bits;
    claim(inside[buffer] >= 0 && inside[buffer] <= bufferBits[buffer], `${buffer} buffer holds ${inside[buffer]} bits`);
  }
  for (const name of ['activation', 'weight', 'mask'] as const)
    claim(inside[name] === played.resident[name], `${name} buffer at the end`);
  return wrong;
}

/** What the published scheduler tries to issue together: a window of tile operations of one class. */
import type { Pointer, Sequence } from './published-cycle-pointer.js';
import type { PublishedProgram, TiledOperation } from './published-cycle-program.js';

/** Tile operations of one operation in a window. */
export interface WindowPart {
  readonly operation: TiledOperation;
  readonly first: number;
  readonly count: number;
}

export type Window = readonly WindowPart[];

export function computeSequence({ steps, heads }: PublishedProgram): Sequence {
  const lengths = heads.map((layer) => layer.map(({ first, end }) => end - first));
  return {
    length: steps.length,
    headsAt: (step) => {
      const tile = steps[step]!;
      return tile < 0 ? lengths[-1 - tile] : undefined;
    },
  };
}

export function memorySequence({ memory }: PublishedProgram): Sequence {
  const lengths = memory.map((step) => (Array.isArray(step) ? step.map((head) => head.length) : undefined));
  return { length: memory.length, headsAt: (step) => lengths[step] };
}

/** The window of each head, or of the single operation at which the pointer stands; undefined for finished heads. */
export function windowsAt(program: PublishedProgram, pointer: Pointer): (Window | undefined)[] {
  if (pointer.ended) return [];
  const tile = program.steps[pointer.step]!;
  if (!pointer.heads) return [sequentialWindow(program, pointer)];
  return program.heads[-1 - tile]!.map(({ first, end }, head) =>
    pointer.isFinished(head)
      ? undefined
      : headWindow(
          program,
          first + pointer.heads![head]!,
          Math.min(end, first + pointer.heads![head]! + pointer.stride),
        ),
  );
}

/** Of the next operations of a head, those of the first one's class; the pointer passes the others, which never run. */
function headWindow({ operations, operationOf }: PublishedProgram, from: number, end: number): Window {
  const { kind } = operations[operationOf[from]!]!;
  const parts: WindowPart[] = [];
  for (let first = from; first < end; ) {
    const operation = operations[operationOf[first]!]!;
    const next = Math.min(end, operation.first + operation.count);
    if (operation.kind === kind) parts.push({ operation, first, count: next - first });
    first = next;
  }
  return parts;
}

/** Between heads, one more than the pointer passes: each window's last operation runs again in the next window. */
function sequentialWindow({ steps, operations, operationOf }: PublishedProgram, { step, stride }: Pointer): Window {
  const limit = Math.min(steps.length, step + (stride === 1 ? 1 : stride + 1));
  const { kind } = operations[operationOf[steps[step]!]!]!;
  const parts: WindowPart[] = [];
  for (let at = step; at < limit; ) {
    const first = steps[at]!;
    if (first < 0) break;
    const operation = operations[operationOf[first]!]!;
    if (operation.kind !== kind) break;
    const count = Math.min(limit - at, operation.first + operation.count - first);
    parts.push({ operation, first, count });
    at += count;
  }
  return parts;
}

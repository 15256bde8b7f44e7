/** The same layer as spatten-schedule.ts, played cycle by cycle: slow, and plain enough to check by reading. */
import type { ScheduledHead } from './spatten-schedule.js';

interface Row {
  readonly head: number;
  readonly cycles: readonly number[];
  readonly needs: 'key' | 'low';
  /** The event that the end of this row's softmax, of its last Q·Kᵀ, of its last P·V is. */
  readonly flat: boolean;
  readonly last: boolean;
}

interface Stage {
  row: Row | undefined;
  remaining: number;
}

interface Request {
  readonly event: string;
  readonly after: string | undefined;
  remaining: number;
}

/** Cycles of the layer. */
export function referenceLayer(heads: readonly ScheduledHead[], slots: number, queueRows: number): number {
  const happened = new Set<string>();
  const waiting = rowsOf(heads);
  const requests = requestsOf(heads, slots);
  const stages: Stage[] = [0, 1, 2, 3].map(() => ({ row: undefined, remaining: 0 }));
  const queues: Row[][] = [[], [], []];

  const note = (stage: number, row: Row) => {
    if (stage === 1 && row.flat) happened.add(`flat ${row.head}`);
    if (stage === 0 && row.last) happened.add(`keys done ${row.head}`);
    if (stage === 3 && row.last) happened.add(`values done ${row.head}`);
  };
  const leave = (index: number): boolean => {
    const stage = stages[index]!;
    if (!stage.row || stage.remaining > 0) return false;
    note(index, stage.row);
    if (index < 3 && queues[index]!.length === queueRows) return false;
    queues[index]?.push(stage.row);
    stage.row = undefined;
    return true;
  };
  const enter = (index: number): boolean => {
    const stage = stages[index]!;
    const source = index === 0 ? waiting : queues[index - 1]!;
    const row = source[0];
    if (stage.row || !row) return false;
    if (index === 0 && !happened.has(`${row.needs} ${row.head}`)) return false;
    if (index === 3 && !happened.has(`value ${row.head}`)) return false;
    source.shift();
    stage.row = row;
    stage.remaining = row.cycles[index]!;
    return true;
  };

  for (let cycle = 0; ; cycle++) {
    for (let changed = true; changed; ) {
      changed = false;
      for (let index = 3; index >= 0; index--) {
        if (leave(index)) changed = true;
        if (enter(index)) changed = true;
      }
      const [request] = requests;
      if (request && request.remaining === 0) {
        happened.add(request.event);
        requests.shift();
        changed = true;
      }
    }
    const [request] = requests;
    if (
      !request &&
      waiting.length === 0 &&
      stages.every(({ row }) => !row) &&
      queues.every((one) => one.length === 0)
    ) {
      return cycle;
    }
    if (request && (request.after === undefined || happened.has(request.after))) request.remaining--;
    for (const stage of stages) if (stage.row && stage.remaining > 0) stage.remaining--;
  }
}

function rowsOf(heads: readonly ScheduledHead[]): Row[] {
  return heads.flatMap(({ rows, again, firstFlat, lowCycles }, head) => {
    const repeats = lowCycles > 0 ? again : [];
    const first = rows.map((cycles, index): Row => {
      const last = repeats.length === 0 && index === rows.length - 1;
      return { head, cycles, needs: 'key', flat: index === firstFlat, last };
    });
    const second = repeats.map((cycles, index): Row => {
      return { head, cycles, needs: 'low', flat: false, last: index === repeats.length - 1 };
    });
    return [...first, ...second];
  });
}

function requestsOf(heads: readonly ScheduledHead[], slots: number): Request[] {
  const fetch = (head: number): Request[] => {
    const { keyCycles, valueCycles } = heads[head]!;
    const before = head - slots;
    return [
      { event: `key ${head}`, after: before < 0 ? undefined : `keys done ${before}`, remaining: keyCycles },
      { event: `value ${head}`, after: before < 0 ? undefined : `values done ${before}`, remaining: valueCycles },
    ];
  };
  const requests: Request[] = [];
  for (let head = 0; head < Math.min(slots, heads.length); head++) requests.push(...fetch(head));
  for (const [head, { lowCycles, resultCycles }] of heads.entries()) {
    if (lowCycles > 0) requests.push({ event: `low ${head}`, after: `flat ${head}`, remaining: lowCycles });
    if (head + slots < heads.length) requests.push(...fetch(head + slots));
    requests.push({ event: `results ${head}`, after: `values done ${head}`, remaining: resultCycles });
  }
  return requests;
}

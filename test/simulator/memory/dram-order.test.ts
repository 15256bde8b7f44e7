/** Last of four suites: do commands go in the right order? */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { referenceLog } from '../../../src/simulator/memory/channel-reference.js';
import { bankOf, configs, played, read, requestLists, small, write } from './small-dram.js';

const config = small();
const [same, other] = [bankOf(0, 0, 0), bankOf(0, 1, 0)];
const order = (requests: Parameters<typeof played>[1], given = config): (number | undefined)[] =>
  played(given, requests)
    .log.filter(({ kind }) => kind.startsWith('RD') || kind.startsWith('WR'))
    .map(({ request }) => request);

test('the scheduler goes as a plain one does that looks at every cycle', () => {
  fc.assert(
    fc.property(configs, requestLists(4, 60), (memory, requests) => {
      expect(played(memory, requests).log.map(({ row, ...command }) => command)).toEqual(
        referenceLog(memory, requests).map(({ row, ...command }) => command),
      );
    }),
    { numRuns: 60 },
  );
});

describe('first-ready, first-come, first-served', () => {
  test('hits of the open row go before older requests for another row', () => {
    expect(order([read(same, 0, 0), read(same, 1, 0), read(same, 0, 1)])).toEqual([0, 2, 1]);
  });

  test('among hits, and among others, the oldest goes first', () => {
    expect(order([read(same, 0, 0), read(same, 0, 1), read(same, 0, 2)])).toEqual([0, 1, 2]);
    expect(order([read(same, 0), read(same, 1), read(same, 2)])).toEqual([0, 1, 2]);
  });

  test('banks work side by side: the other bank’s row opens meanwhile', () => {
    const { log } = played(config, [read(same, 0), read(same, 1), read(other, 0)]);
    expect(log.slice(0, 4).map(({ kind, bank }) => [kind, bank])).toEqual([
      ['ACT', same],
      ['ACT', other],
      ['RD', same],
      ['RD', other],
    ]);
  });

  test('nobody starves: an old request goes before endless hits', () => {
    const hits = Array.from({ length: 120 }, (_, i) => read(same, 0, i % 8, 2 * i));
    const requests = [read(same, 0), read(same, 1, 0, 1), ...hits.map((hit) => ({ ...hit, arrival: hit.arrival + 2 }))];
    const served = order(requests).indexOf(1);
    const { starvationCycles } = config.controller;
    expect(played(config, requests).latencies[served]!).toBeLessThan(starvationCycles + 3 * config.timing.rc);
    expect(served).toBeGreaterThan(1);
  });
});

describe('writes', () => {
  test('wait for reads, until as many wait as the high mark; then go down to the low mark', () => {
    const patient = small({ controller: { starvationCycles: 100000 } });
    const { writeHigh, writeLow } = patient.controller;
    const reads = Array.from({ length: 40 }, (_, i) => read(same, 0, i % 8, 2 * i));
    const writes = Array.from({ length: writeHigh }, (_, i) => write(other, 0, i, 4));
    const all = [...reads, ...writes].sort((a, b) => a.arrival - b.arrival);
    const kinds = order(all, patient).map((request) => all[request!]!.write);
    const first = kinds.indexOf(1);
    expect(kinds.slice(first, first + writeHigh - writeLow)).toEqual(new Array(writeHigh - writeLow).fill(1));
    expect(kinds.slice(first + writeHigh - writeLow, -writeLow)).not.toContain(1);
  });

  test('a read of what waits to be written is served from the queue', () => {
    const { counts, log } = played(config, [read(other), write(same, 0, 3), read(same, 0, 3)]);
    expect(counts.forwarded).toBe(1);
    expect(log.filter(({ kind }) => kind === 'RD')).toHaveLength(1);
  });

  test('a write replaces one of the same burst that waits', () => {
    expect(played(config, [read(other), write(same), write(same)]).counts).toMatchObject({ merged: 1, writes: 1 });
  });

  test('a write does not overtake an older read of its burst', () => {
    expect(order([read(same, 1), read(same, 0), write(same, 0)])).toEqual([0, 1, 2]);
  });
});

describe('page policy', () => {
  test('closed: a row closes with the last access that waits for it', () => {
    const closed = small({ controller: { pagePolicy: 'closed' } });
    const { log } = played(closed, [read(same, 0, 0), read(same, 0, 1)]);
    expect(log.map(({ kind }) => kind)).toEqual(['ACT', 'RD', 'RDA']);
  });

  test('open: it stays open', () => {
    const { log, counts } = played(config, [read(same, 0, 0), read(same, 0, 1)]);
    expect(log.map(({ kind }) => kind)).toEqual(['ACT', 'RD', 'RD']);
    expect(counts.openBanks).toBe(1);
  });
});

/** Third of four suites: is every gap between commands kept? Legal at t, illegal at t − 1. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CommandChecker, illegal, rulesOf } from '../../../src/simulator/memory/command-checker.js';
import type { Command, CommandKind } from '../../../src/simulator/memory/commands.js';
import { burstCycles } from '../../../src/simulator/memory/dram-config.js';
import { bankOf, configs, played, preset, read, requestLists, small, write } from './small-dram.js';

const config = small();
const { timing: t } = config;
const written = t.cwl + burstCycles(config);

describe('the checker refuses each gap one cycle early, and no later', () => {
  const SECOND = {
    bank: bankOf(0, 0, 0),
    group: bankOf(0, 0, 1),
    rank: bankOf(0, 1, 0),
    'other rank': bankOf(1, 0, 0),
  };
  const needsRow = (kind: CommandKind) => kind !== 'ACT' && kind !== 'REF';

  test.each(
    rulesOf(config).map((rule) => [`${rule.name}, ${rule.from} to ${rule.to}, same ${rule.scope}`, rule] as const),
  )('%s', (_, { from, to, scope, gap, name }) => {
    const [one, other] = [bankOf(0, 0, 0), SECOND[scope]];
    const command = (kind: CommandKind, bank: number, time: number): Command => {
      const rank = bank >= 4 ? 1 : 0;
      return kind === 'REF' || kind === 'PREA' ? { time, kind, rank } : { time, kind, rank, bank, row: 0 };
    };
    const history = new CommandChecker(config);
    // Rows that the two commands need were opened long before.
    if (from !== 'ACT' && from !== 'REF') history.add(command('ACT', one, -900));
    if (needsRow(to) && !(from === 'ACT' && other === one) && other !== one) history.add(command('ACT', other, -800));
    history.add(command(from, one, 0));
    const openNow = from === 'RD' || from === 'WR' || from === 'ACT';
    const needsClosed = (to === 'ACT' && other === one) || to === 'REF';
    // For a rule between commands of the same state, another would have closed the bank in between.
    if (needsClosed && openNow) history.add({ ...command('PRE', one, 0), time: 0 });
    const problem = (time: number) => history.violation(command(to, other, time)) ?? '';
    expect(problem(gap - 1)).toContain(name === 'tRRD_S' && gap - 1 < 0 ? '' : ':');
    expect(problem(Math.max(gap, strictest(to, scope)))).toBe('');
  });

  /** Other rules that the same two commands are under. */
  function strictest(to: string, scope: string): number {
    const weaker: Record<string, readonly string[]> = {
      bank: ['bank', 'group', 'rank'],
      group: ['group', 'rank'],
      rank: ['rank'],
      'other rank': ['other rank'],
    };
    return Math.max(
      ...rulesOf(config)
        .filter((rule) => rule.to === to && weaker[scope]!.includes(rule.scope))
        .map(({ gap }) => gap),
    );
  }

  test('tFAW: a fifth activate waits for the first to leave the window', () => {
    const history = new CommandChecker(small({ organisation: { banks: 4 } }));
    const bank = (i: number) => [0, 4, 1, 5, 2][i]!;
    for (let i = 0; i < 4; i++) history.add({ time: i * t.rrdShort, kind: 'ACT', rank: 0, bank: bank(i), row: 0 });
    const fifth = (time: number) => history.violation({ time, kind: 'ACT', rank: 0, bank: bank(4), row: 0 });
    expect(fifth(t.faw - 1)).toContain('tFAW');
    expect(fifth(t.faw)).toBeUndefined();
  });
});

describe('the scheduler goes as soon as the gap allows', () => {
  const [same, group, other, far] = [bankOf(0, 0, 0), bankOf(0, 0, 1), bankOf(0, 1, 0), bankOf(1, 0, 0)];
  /** Cycles between the last two commands of these kinds. */
  const gap = (requests: Parameters<typeof played>[1], from: CommandKind, to: CommandKind, given = config): number => {
    const { log } = played(given, requests);
    const last = log.findLastIndex(({ kind }) => kind === to);
    return log[last]!.time - log.slice(0, last).findLast(({ kind }) => kind === from)!.time;
  };
  const opened = (bank: number) => read(bank, 0, 0, 0);
  const later = 150;

  test.each([
    ['tRCD of a read', [read(same)], 'ACT', 'RD', t.rcdRead],
    ['tRCD of a write', [write(same)], 'ACT', 'WR', t.rcdWrite],
    [
      'tRTP, where it outlasts tRAS',
      [read(same, 0, 0), read(same, 0, 1), read(same, 0, 2), read(same, 1)],
      'RD',
      'PRE',
      undefined,
    ],
    ['tRRD_S', [read(same), read(other)], 'ACT', 'ACT', t.rrdShort],
    ['tRRD_L', [read(same), read(group)], 'ACT', 'ACT', t.rrdLong],
    ['tCCD_L in a bank', [read(same, 0, 0), read(same, 0, 1)], 'RD', 'RD', t.ccdLong],
    [
      'tCCD_S between groups',
      [opened(same), opened(other), read(same, 0, 1, later), read(other, 0, 1, later)],
      'RD',
      'RD',
      t.ccdShort,
    ],
    ['tCCD_L of writes', [write(same, 0, 0), write(same, 0, 1)], 'WR', 'WR', t.ccdLong],
    [
      'tRTRS',
      [opened(same), opened(far), read(same, 0, 1, later), read(far, 0, 1, later)],
      'RD',
      'RD',
      burstCycles(config) + t.rankTurn,
    ],
    [
      'read to write',
      [opened(same), read(same, 0, 1, later), write(same, 0, 2, later)],
      'RD',
      'WR',
      t.cl + burstCycles(config) + t.turn - t.cwl,
    ],
    ['tWTR_L', [opened(same), write(same, 0, 1, later), read(same, 0, 2, later + 1)], 'WR', 'RD', written + t.wtrLong],
    [
      'tWTR_S',
      [opened(same), opened(other), write(same, 0, 1, later), read(other, 0, 2, later + 1)],
      'WR',
      'RD',
      written + t.wtrShort,
    ],
    ['tWR', [write(same, 0), write(same, 1)], 'WR', 'PRE', written + t.wr],
  ] as const)('%s', (_, requests, from, to, expected) => {
    const measured = gap(requests, from, to);
    expect(measured).toBe(expected ?? t.rtp);
  });

  test('tRAS and tRC, where nothing else is longer', () => {
    const quick = small({ timing: { rtp: 1, cl: 1, rcdRead: 2 } });
    const { log } = played(quick, [read(same, 0), read(same, 1)]);
    expect(log.map(({ kind, time }) => [kind, time])).toEqual([
      ['ACT', 0],
      ['RD', 2],
      ['PRE', t.ras],
      ['ACT', t.rc],
      ['RD', t.rc + 2],
    ]);
  });

  test('tRP, where tRC is over', () => {
    expect(gap([read(same, 0), read(same, 1)], 'PRE', 'ACT', small({ timing: { rc: t.ras } }))).toBe(t.rp);
  });

  test('tFAW, where four activates come quickly', () => {
    const wide = small({ organisation: { ranks: 1, banks: 4 } });
    const { log } = played(
      wide,
      [0, 4, 1, 5, 2].map((bank) => read(bank)),
    );
    const activates = log.filter(({ kind }) => kind === 'ACT').map(({ time }) => time);
    expect(activates[4]).toBe(t.faw);
  });

  test('tREFI, tRPab and tRFC: refresh begins when due, and ends as the standard says', () => {
    const one = small({ organisation: { ranks: 1 } });
    const { log } = played(one, [read(same, 0, 0, 0), read(same, 0, 1, t.refi)]);
    expect(log.slice(2).map(({ kind, time }) => [kind, time])).toEqual([
      ['PREA', t.refi],
      ['REF', t.refi + t.rpAll],
      ['ACT', t.refi + t.rpAll + t.rfc],
      ['RD', t.refi + t.rpAll + t.rfc + t.rcdRead],
    ]);
  });
});

test('no log of any requests on any memory breaks a rule', () => {
  fc.assert(
    fc.property(configs, requestLists(4, 120), (memory, requests) => {
      expect(illegal(memory, played(memory, requests).log)).toBeUndefined();
    }),
    { numRuns: 60 },
  );
});

test.each(['ddr4-3200', 'lpddr4-3200', 'hbm2'])('no log on %s breaks a rule', (name) => {
  const memory = preset(name);
  fc.assert(
    fc.property(requestLists(8, 200), (requests) => {
      expect(illegal(memory, played(memory, requests).log)).toBeUndefined();
    }),
    { numRuns: 10 },
  );
});

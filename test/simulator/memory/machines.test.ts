/** Machines that take a DRAM instead of a plain bandwidth. Laws and promises are held in conformance.test.ts. */
import { describe, expect, test } from 'vitest';
import { readPreset } from '../../../src/hardware/preset-files.js';
import { presetConfig } from '../../../src/hardware/presets.js';
import { electorSchema } from '../../../src/simulator/elector/config.js';
import { elector } from '../../../src/simulator/elector.js';
import { eyeriss } from '../../../src/simulator/eyeriss.js';
import { availableShare } from '../../../src/simulator/memory/stream.js';
import { spatten } from '../../../src/simulator/spatten.js';
import { systolic } from '../../../src/simulator/systolic.js';
import { toex } from '../../../src/simulator/toex.js';
import type { Machine, SimulationResult, Workload } from '../../../src/simulator/types.js';
import { vssa } from '../../../src/simulator/vssa.js';
import { namedTransformer } from '../../../src/workload/named-transformers.js';
import { gaussianHead, traceOf } from '../heads.js';
import { decoder, exitsRecord, exitsTrace } from '../toex-trace.js';
import { architecture, shuffledBits, tokenBitsTrace } from '../vssa-trace.js';
import { preset } from './small-dram.js';

const gemms = (): Workload => ({ kind: 'gemms', layers: [{ name: 'one', m: 8, n: 256, k: 256 }] });
const heads = (): Workload => traceOf([gaussianHead({ tokens: 40, pruned: 0.7 })]);
const widths = (): Workload =>
  tokenBitsTrace(architecture(1), [{ sequence: 0, layer: 0, head: -1, bits: shuffledBits(9, 20, 5, 1) }]);

/** Each with the count in which its memory's cycles stand, and settings that give it the peak of `lpddr4-3200`. */
const MACHINES: readonly [Machine, () => Workload, string, (bytesPerCycle: number, clockHertz: number) => object][] = [
  [systolic as Machine, gemms, 'memoryCycles', (bytes) => ({ bandwidthWordsPerCycle: bytes })],
  [eyeriss as Machine, gemms, 'memoryCycles', (bytes, clock) => ({ dram: { bytesPerSecond: bytes * clock } })],
  [vssa as Machine, widths, 'transferCycles', (bytes) => ({ bandwidthBitsPerCycle: 8 * bytes })],
  [spatten as Machine, heads, 'memoryCycles', () => ({ dram: { type: 'lpddr4', channels: 1, bytesPerCycle: 13 } })],
];

describe.each(MACHINES.map((row) => [row[0].name, ...row] as const))('%s', (_, machine, workload, count, peak) => {
  const base = presetConfig(readPreset(machine.presets[0]!), machine.schema) as {
    technology: { clockHertz: number };
  };
  const memory = preset('lpddr4-3200');
  const { clockHertz } = base.technology;
  const run = async (change: object) =>
    (await machine.simulate(machine.schema.parse({ ...base, ...change }), workload(), {
      name: 'x',
    })) as SimulationResult;
  const plain = () => run(peak(12.8e9 / clockHertz, clockHertz));
  const timed = () => run({ memory: { model: 'dram', preset: 'lpddr4-3200' } });

  test('says which memory it had, and where its figures come from', async () => {
    const result = await timed();
    expect(result.remarks.join()).toContain('lpddr4-3200, timed as a DRAM');
    expect(result.constants.map(({ name }) => name)).toContain('lpddr4-3200.config.timing.rfc');
    expect((await plain()).remarks.join()).toContain('bytes per cycle, always');
  });

  test('waits for refresh and turn-around as well', async () => {
    const [one, other] = [await plain(), await timed()];
    expect(other.counts[count]!).toBeGreaterThan(one.counts[count]!);
    // Short transfers turn the bus around often: what they lose is bounded by the gaps of each.
    const { turn, wtrShort, cl } = memory.timing;
    const gap = Math.ceil(((turn + wtrShort + cl + 8) * clockHertz) / memory.technology.clockHertz) + 1;
    const transfers = 8;
    expect(other.counts[count]!).toBeLessThan(one.counts[count]! / (0.95 * availableShare(memory)) + transfers * gap);
  });

  test('pays for commands, and for standby as long as it runs', async () => {
    const result = await timed();
    const { dynamicPicojoules, leakagePicojoules } = result.energy.find(({ component }) => component === 'DRAM')!;
    expect(dynamicPicojoules).toBeGreaterThan(0);
    const { activeMilliwatts, refreshPicojoules } = memory.energy;
    const refresh = (refreshPicojoules * memory.technology.clockHertz) / memory.timing.refi;
    const watts = memory.organisation.channels * (activeMilliwatts / 1e3 + refresh / 1e12);
    expect(leakagePicojoules / 1e12).toBeCloseTo((watts * result.cycles) / clockHertz, 12);
  });

  test('grows its channels with it', () => {
    const config = machine.schema.parse({ ...base, memory: { model: 'dram', preset: 'lpddr4-3200' } });
    if (machine.sizing === undefined) return;
    expect(machine.sizing.resized(config, 4)).toMatchObject({ memory: { channels: 8 } });
  });
});

describe('toex', () => {
  const { tokens: _, ...base } = presetConfig(readPreset('toex-ddr4'), toex.schema);
  const exits = (): Workload => exitsTrace(decoder(3), [exitsRecord(3, [3, 1, 2, 3]), exitsRecord(3, [2, 2])]);
  const run = async (change: object) =>
    (await toex.simulate(toex.schema.parse({ ...base, ...change }), exits(), { name: 'x' })) as SimulationResult;
  const { clockHertz } = base.technology;
  const memory = preset('ddr4-3200');

  test('streams from a DRAM: slower than at its peak, by refresh, turn-around and the latency behind decisions', async () => {
    const plain = await run({ bandwidthBytesPerCycle: 25.6e9 / clockHertz });
    const timed = await run({ memory: { model: 'dram', preset: 'ddr4-3200' } });
    expect(timed.remarks.join()).toContain('ddr4-3200, timed as a DRAM');
    expect(plain.remarks.join()).toContain('bytes per cycle, always');
    expect(timed.counts).toMatchObject({ weightBytes: plain.counts.weightBytes, checks: plain.counts.checks });
    expect(timed.cycles).toBeGreaterThan(plain.cycles / availableShare(memory));
    const { activeMilliwatts, refreshPicojoules } = memory.energy;
    const refresh = (refreshPicojoules * memory.technology.clockHertz) / memory.timing.refi;
    const rows = memory.organisation.channels * memory.organisation.ranks;
    const { leakagePicojoules } = timed.energy.find(({ component }) => component === 'DRAM')!;
    const watts = rows * (activeMilliwatts / 1e3 + refresh / 1e12);
    expect(leakagePicojoules / 1e12).toBeCloseTo((watts * timed.cycles) / clockHertz, 12);
  });

  test('grows its channels with it', () => {
    const config = toex.schema.parse({ ...base, memory: { model: 'dram', preset: 'ddr4-3200' } });
    expect(toex.sizing!.resized(config, 16)).toMatchObject({ memory: { channels: 4 } });
  });
});

describe('elector', () => {
  const base = presetConfig(readPreset('elector-edge'), electorSchema);
  const run = async (change: object) => {
    const workload: Workload = { kind: 'transformer', architecture: namedTransformer('bert-tiny') };
    const config = electorSchema.parse({ ...base, ...change });
    return (await elector.simulate(config, workload, { name: 'x' })) as SimulationResult;
  };
  const mainMemory = (channels: number) => ({ model: 'dram', preset: 'lpddr4-3200', channels });

  test('takes a DRAM in place of AccelTran’s main memory: energy by command, fewer channels are slower', async () => {
    const [plain, two, one] = [
      await run({}),
      await run({ mainMemory: mainMemory(2) }),
      await run({ mainMemory: mainMemory(1) }),
    ];
    expect(one.cycles).toBeGreaterThan(two.cycles);
    expect(one.remarks.join()).toContain('timed as a DRAM: 1 channel');
    expect(plain.remarks.join()).not.toContain('timed as a DRAM');
    const energyOf = ({ energy }: SimulationResult) => energy.find(({ component }) => component === 'main memory')!;
    expect(energyOf(plain).leakagePicojoules).toBe(0);
    expect(energyOf(one).leakagePicojoules).toBeGreaterThan(0);
    expect(energyOf(one).dynamicPicojoules).toBeCloseTo(energyOf(two).dynamicPicojoules, -3);
  });

  test('as published, knows its own main memories only', async () => {
    const mode = 'published-cycle';
    await expect(run({ mode, mainMemory: mainMemory(1) })).rejects.toMatchObject({ place: 'mainMemory.model' });
  });
});

/** Second of four suites: do latency and bandwidth have the shape that formulas give? */
import { describe, expect, test } from 'vitest';
import { burstBytes, burstCycles, peakBytesPerCycle } from '../../../src/simulator/memory/dram-config.js';
import { streamBound, unloadedLatency } from '../../../src/simulator/memory/stream.js';
import { changed, DRAM_PRESETS, played, preset, read, simulated, write } from './small-dram.js';

/** Bytes a cycle of a run. */
async function rate(...given: Parameters<typeof simulated>): Promise<number> {
  const { counts, cycles } = await simulated(...given);
  return counts.bytes! / cycles;
}

describe.each(DRAM_PRESETS)('%s', (name) => {
  const config = preset(name);
  const { timing: t, organisation } = config;
  const burst = burstCycles(config);
  const latencies = (...requests: Parameters<typeof played>[1]) => played(config, requests).latencies;

  test('a lone read of a closed row takes tRCD + CL + its burst', () => {
    expect(latencies(read(0))).toEqual([t.rcdRead + t.cl + burst]);
    expect(unloadedLatency(config)).toBe(t.rcdRead + t.cl + burst);
  });

  test('a lone write tRCD + CWL + its burst', () => {
    expect(latencies(write(0))).toEqual([t.rcdWrite + t.cwl + burst]);
  });

  test('a read of an open row CL + its burst', () => {
    expect(latencies(read(0), read(0, 0, 1, 1000))[1]).toBe(t.cl + burst);
  });

  test('a read that needs another row tRP + tRCD + CL + its burst', () => {
    expect(latencies(read(0), read(0, 1, 0, 1000))[1]).toBe(t.rp + t.rcdRead + t.cl + burst);
  });

  test('a stream of reads gets at least 90 % of what the standard allows with refresh, and no more than all', async () => {
    const requests = 8000 * organisation.channels;
    const { counts, cycles } = await simulated(config, { requests });
    expect(counts.bytes! / cycles / streamBound(config)).toBeGreaterThan(0.9);
    const available = cycles - (counts.refreshes! / organisation.channels) * t.rfc;
    expect(counts.bytes!).toBeLessThanOrEqual(available * peakBytesPerCycle(config));
    expect(streamBound(config)).toBeCloseTo(peakBytesPerCycle(config) * (1 - t.rfc / t.refi), 9);
  });

  test('a stream of writes likewise', async () => {
    expect(await rate(config, { requests: 8000 * organisation.channels, writes: 1 })).toBeGreaterThan(
      0.9 * streamBound(config),
    );
  });

  test('without refresh it gets its peak', async () => {
    const calm = changed(config, { timing: { refi: 1e6 } });
    const reached = await rate(calm, { requests: 8000 * organisation.channels });
    expect(reached / peakBytesPerCycle(calm)).toBeGreaterThan(0.98);
  });

  test('random reads are never faster than a stream', async () => {
    const requests = 2000 * organisation.channels;
    expect(await rate(config, { requests, kind: 'random' })).toBeLessThan(await rate(config, { requests }));
  });

  test('random reads come no faster than tRRD and tFAW let rows open', async () => {
    const bound = (organisation.channels * burstBytes(config)) / Math.max(t.rrdShort, t.faw / 4);
    expect(await rate(config, { requests: 2000 * organisation.channels, kind: 'random' })).toBeLessThanOrEqual(
      1.02 * bound,
    );
  });

  test('reads of one bank’s rows come every tRC', async () => {
    const rows = Array.from({ length: 50 }, (_, row) => read(0, row));
    const { log } = played(config, rows);
    const activates = log.filter(({ kind }) => kind === 'ACT').map(({ time }) => time);
    const gaps = activates.slice(1).map((time, i) => time - activates[i]!);
    const each = Math.max(t.rc, t.rcdRead + t.rtp + t.rp);
    expect(gaps.filter((gap) => gap !== each).length).toBeLessThanOrEqual(1);
  });
});

describe('the address map decides what a stream can get', () => {
  const config = preset('ddr4-3200');
  test.each([
    ['row-rank-bank-column-group-channel', 1],
    ['row-rank-group-bank-column-channel', 0.5],
    ['row-bank-group-rank-column-channel', 0.5],
  ])('%s', async (addressMap, share) => {
    const mapped = changed(config, { addressMap });
    const bound = streamBound(mapped);
    expect(bound / streamBound(config)).toBeCloseTo(share, 9);
    const reached = (await rate(mapped, { requests: 8000 })) / bound;
    expect(reached).toBeGreaterThan(0.9);
  });

  test('rows that follow each other in one bank cost their closing and opening', async () => {
    const mapped = changed(config, { addressMap: 'rank-bank-row-column-group-channel' });
    const reached = (await rate(mapped, { requests: 8000 })) / streamBound(mapped);
    expect(reached).toBeGreaterThan(0.9);
    expect(reached).toBeLessThanOrEqual(1 + config.timing.rfc / config.timing.refi);
  });
});

test('reads and writes by turns lose to the turning of the bus, less with a longer write queue', async () => {
  const config = preset('ddr4-3200');
  const short = changed(config, { controller: { writeQueue: 8, writeHigh: 6, writeLow: 2 } });
  const mixed = { requests: 6000, writes: 0.5 };
  const [long, brief, alone] = [
    await rate(config, mixed),
    await rate(short, mixed),
    await rate(config, { requests: 6000 }),
  ];
  expect(brief).toBeLessThan(long);
  expect(long).toBeLessThan(alone);
});

test('energy is that of the commands, the bits and the time, each at its price', async () => {
  const config = preset('ddr4-3200');
  const { energy, technology } = config;
  const { counts, cycles, energyPicojoules } = await simulated(config, { kind: 'random', requests: 500, writes: 0.3 });
  const nanoseconds = (count: number) => (count / technology.clockHertz) * 1e9;
  const expected =
    counts.activates! * energy.activatePicojoules +
    counts.reads! * energy.readPicojoules +
    counts.writes! * energy.writePicojoules +
    8 * counts.bytes! * energy.interfacePicojoulesPerBit +
    counts.refreshes! * energy.refreshPicojoules +
    nanoseconds(counts.activeCycles!) * energy.activeMilliwatts +
    nanoseconds(cycles - counts.activeCycles!) * energy.prechargedMilliwatts;
  expect(energyPicojoules / expected).toBeCloseTo(1, 9);
});

test('energies of DDR4 follow from the currents of a data sheet', () => {
  const { timing: t, energy } = preset('ddr4-3200');
  const [volts, devices, nanoseconds] = [1.2, 8, 0.625];
  const [idd0, idd2n, idd3n, idd4r, idd4w, idd5b] = [57, 37, 52, 168, 150, 250];
  const picojoules = (milliampereCycles: number) => volts * devices * nanoseconds * milliampereCycles;
  expect(energy.activatePicojoules).toBeCloseTo(picojoules(idd0 * t.rc - idd3n * t.ras - idd2n * t.rp), 6);
  expect(energy.readPicojoules).toBeCloseTo(picojoules((idd4r - idd3n) * 4), 6);
  expect(energy.writePicojoules).toBeCloseTo(picojoules((idd4w - idd3n) * 4), 6);
  expect(energy.refreshPicojoules).toBeCloseTo(picojoules((idd5b - idd2n) * t.rfc), 6);
  expect(energy.activeMilliwatts).toBeCloseTo(volts * devices * idd3n, 6);
  expect(energy.prechargedMilliwatts).toBeCloseTo(volts * devices * idd2n, 6);
});

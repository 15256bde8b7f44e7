/** First of four suites: does everything run, and add up? */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dram } from '../../../src/simulator/dram.js';
import { AddressMap } from '../../../src/simulator/memory/address-map.js';
import { capacityBytes } from '../../../src/simulator/memory/dram-config.js';
import { binOf, Latencies } from '../../../src/simulator/memory/latencies.js';
import { changed, configs, DRAM_PRESETS, preset, requestLists, simulated } from './small-dram.js';

const KINDS = ['stream', 'stride', 'random'] as const;
const POLICIES = ['open', 'closed'] as const;

const runs = DRAM_PRESETS.flatMap((name) =>
  KINDS.flatMap((kind) =>
    POLICIES.flatMap((policy) => [0, 0.4, 1].map((writes) => [name, kind, policy, writes] as const)),
  ),
);

// The laws of conservation are checked in each run; a broken one throws.
test.each(runs)('%s plays a %s with rows %s and %d writes', async (name, kind, pagePolicy, writes) => {
  const config = changed(preset(name), { controller: { pagePolicy } });
  const result = await simulated(config, { kind, writes, strideBytes: 4096 });
  const { counts, memory } = result;
  expect(counts.reads! + counts.writes! + counts.forwarded! + counts.merged!).toBe(1000);
  expect(memory!.bytesPerSecond).toBeLessThanOrEqual(memory!.peakBytesPerSecond);
  expect(result.energyPicojoules).toBeGreaterThan(0);
});

test('any requests to any memory keep the laws', async () => {
  await fc.assert(
    fc.asyncProperty(configs, requestLists(4, 80), async (config, requests) => {
      const map = new AddressMap(config);
      const asked = requests.map(({ arrival, write, bank, row, column }) => ({
        address: map.addressOf({ channel: 0, rank: 0, group: bank >> 1, bank: bank & 1, row, column }),
        write: write === 1,
        cycle: arrival,
      }));
      async function* some() {
        yield asked;
      }
      const result = await dram.simulate(config, { kind: 'requests', requests: some }, { name: 'test' });
      expect(result).toMatchObject({ feasible: true });
    }),
    { numRuns: 60 },
  );
});

test('addresses and places are one to one, for any order of the fields', () => {
  const fields = ['row', 'rank', 'bank', 'group', 'column', 'channel'];
  fc.assert(
    fc.property(
      fc.shuffledSubarray(fields, { minLength: 6 }),
      fc.constantFrom(...DRAM_PRESETS),
      fc.nat(),
      (order, name, at) => {
        const config = changed(preset(name), { addressMap: order.join('-') });
        const map = new AddressMap(config);
        const address = at % capacityBytes(config);
        expect(map.addressOf(map.placeOf(address))).toBe(address - (address % map.burstBytes));
      },
    ),
  );
});

test('long idle times cost no work, and their refreshes are counted', async () => {
  const config = preset('ddr4-3200');
  async function* apart() {
    yield [0, 1e13].map((cycle) => ({ address: 0, write: false, cycle }));
  }
  const result = await dram.simulate(config, { kind: 'requests', requests: apart }, { name: 'test' });
  if (!result.feasible) throw new Error();
  expect(result.counts.refreshes).toBe(Math.floor(result.cycles / config.timing.refi));
});

test('percentiles are of bins at most a 32nd wide', () => {
  fc.assert(
    fc.property(fc.nat(1e9), (cycles) => {
      const bin = binOf(cycles);
      expect(bin).toBeLessThanOrEqual(cycles);
      expect(cycles - bin).toBeLessThanOrEqual(cycles / 32);
      expect(binOf(bin)).toBe(bin);
    }),
  );
  const latencies = new Latencies();
  for (let i = 1; i <= 50; i++) latencies.add(i);
  expect(latencies.summary).toEqual({ mean: 25.5, least: 1, median: 25, percentile95: 48, percentile99: 50, most: 50 });
});

/** DRAM in closed form, as machines use it, against the scheduler. */
import { describe, expect, test } from 'vitest';
import { burstBytes } from '../../../src/simulator/memory/dram-config.js';
import { dramMemory } from '../../../src/simulator/memory/dram-memory.js';
import { memoryOf, memorySchema } from '../../../src/simulator/memory/settings.js';
import { changed, DRAM_PRESETS, preset, simulated } from './small-dram.js';

const technology = { nodeNanometres: 40, voltage: 0.9, clockHertz: 1e9 };
const reads = (bytes: number) => ({ readBits: 8 * bytes, writtenBits: 0 });

describe.each(DRAM_PRESETS)('%s', (name) => {
  const config = preset(name);
  const clock = config.technology.clockHertz;
  const memory = dramMemory(name, config, clock);
  const requestsOf = (bytes: number) => Math.ceil(bytes / burstBytes(config));

  test.each([64 * 1024, 1024 * 1024, 8 * 1024 * 1024])(
    '%d bytes take as long as the scheduler needs',
    async (bytes) => {
      const { cycles } = await simulated(config, { requests: requestsOf(bytes) });
      const estimated = memory.latencyCycles + memory.cycles(reads(bytes));
      // The spread of refresh: as much as one of them.
      expect(Math.abs(estimated - cycles)).toBeLessThan(0.02 * cycles + 1.1 * config.timing.rfc);
    },
  );

  test.each([32, 512, 4096, 65536])('without refresh, %d bytes take as long up to the first rows', async (bytes) => {
    const calm = changed(config, { timing: { refi: 1e6 } });
    const still = dramMemory(name, calm, clock);
    const { cycles } = await simulated(calm, { requests: requestsOf(bytes) });
    const first = config.organisation.bankGroups * config.timing.rrdShort;
    expect(Math.abs(still.latencyCycles + still.cycles(reads(bytes)) - cycles)).toBeLessThanOrEqual(first + 1);
  });

  test('long streams agree within 1 %, in time and in energy', async () => {
    const bytes = 16 * 1024 * 1024;
    const { cycles, counts, energyPicojoules } = await simulated(config, { requests: requestsOf(bytes) });
    expect(memory.cycles(reads(bytes)) / cycles).toBeCloseTo(1, 2);
    const actions = memory.actions(reads(bytes));
    expect(actions.read).toBe(counts.reads);
    expect(actions.activate! / counts.activates!).toBeGreaterThan(0.9);
    expect(actions.activate! / counts.activates!).toBeLessThan(1.1);
    const { energyPicojoules: prices, leakageMilliwatts } = memory.cost;
    const dynamic = Object.entries(actions).reduce((sum, [action, times]) => sum + times * prices[action]!, 0);
    const waiting = leakageMilliwatts * (cycles / clock) * 1e9;
    expect((dynamic + waiting) / energyPicojoules).toBeCloseTo(1, 1);
  });

  test('times are of the machine’s clock', () => {
    const slow = dramMemory(name, config, clock / 4);
    expect(slow.cycles(reads(1e6))).toBe(Math.ceil(memory.cycles(reads(1e6)) / 4));
    expect(slow.latencyCycles).toBe(memory.latencyCycles / 4);
    expect(slow.bitsPerCycle).toBe(4 * memory.bitsPerCycle);
  });

  test('more bytes never take less, and never more than the peak moves', () => {
    for (let bytes = 0; bytes < 20000; bytes += 100) {
      expect(memory.cycles(reads(bytes + 100))).toBeGreaterThanOrEqual(memory.cycles(reads(bytes)));
      expect(8 * bytes).toBeLessThanOrEqual(memory.cycles(reads(bytes)) * memory.bitsPerCycle);
    }
  });

  test('a write pays for turning the bus around and back', async () => {
    const { turn, wtrShort, cl } = config.timing;
    const written = memory.cycles({ readBits: 0, writtenBits: 8e5 }) - memory.cycles(reads(1e5));
    expect(Math.abs(written - (turn + wtrShort + cl))).toBeLessThanOrEqual(1);
  });
});

describe('the setting', () => {
  const plain = () => expect.unreachable() as never;
  const given = (memory: object) => ({ memory: memorySchema.parse(memory), technology });

  test('chooses the model, and channels', () => {
    const one = memoryOf(given({ model: 'dram', preset: 'lpddr4-3200' }), plain);
    const more = memoryOf(given({ model: 'dram', preset: 'lpddr4-3200', channels: 8 }), plain);
    expect(more.bitsPerCycle).toBe(4 * one.bitsPerCycle);
    expect(one.constants.map((constant) => constant.name)).toContain('lpddr4-3200.config.timing.rfc');
  });

  test.each([
    [{ preset: 'ddr4' }, 'TANDEM_UNKNOWN_NAME'],
    [{ preset: 'vssa' }, 'TANDEM_CONFIG_INVALID'],
    [{ preset: 'none.yaml' }, 'TANDEM_FILE_NOT_FOUND'],
    [{ channels: 3 }, 'TANDEM_CONFIG_INVALID'],
  ])('%j is refused with %s', (memory, code) => {
    expect(() => memoryOf(given({ model: 'dram', ...memory }), plain)).toThrow(expect.objectContaining({ code }));
  });
});

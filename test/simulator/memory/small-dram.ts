/** A small memory in which every gap differs from every other, so that one taken for another shows. */
import fc from 'fast-check';
import { readPreset } from '../../../src/hardware/preset-files.js';
import { presetConfig } from '../../../src/hardware/presets.js';
import { dram } from '../../../src/simulator/dram.js';
import { DramChannel } from '../../../src/simulator/memory/channel.js';
import type { Command } from '../../../src/simulator/memory/commands.js';
import { burstBytes, capacityBytes, type DramConfig, dramSchema } from '../../../src/simulator/memory/dram-config.js';
import type { Request } from '../../../src/simulator/memory/request-queue.js';
import { memoryRequests, type Pattern } from '../../../src/simulator/memory/requests.js';
import type { SimulationResult } from '../../../src/simulator/types.js';

export const DRAM_PRESETS = ['ddr4-3200', 'lpddr4-3200', 'hbm2'];
export const preset = (name: string): DramConfig => presetConfig(readPreset(name), dramSchema);

type Given = Partial<{
  organisation: Partial<DramConfig['organisation']>;
  timing: Partial<DramConfig['timing']>;
  controller: Partial<DramConfig['controller']>;
  commandBuses: 1 | 2;
  addressMap: string;
}>;

export function changed(base: DramConfig, { organisation, timing, controller, ...rest }: Given): DramConfig {
  return dramSchema.parse({
    ...base,
    organisation: { ...base.organisation, ...organisation },
    timing: { ...base.timing, ...timing },
    controller: { ...base.controller, ...controller },
    ...rest,
  });
}

export const small = (given: Given = {}): DramConfig =>
  changed(
    changed(preset('ddr4-3200'), {
      organisation: { ranks: 2, bankGroups: 2, banks: 2, rows: 4, rowBytes: 512 },
      timing: {
        ...{ cl: 11, cwl: 9, rcdRead: 12, rcdWrite: 10, rp: 13, rpAll: 15, ras: 28, rc: 43, ccdShort: 4, ccdLong: 6 },
        ...{ rrdShort: 5, rrdLong: 7, faw: 31, wtrShort: 3, wtrLong: 8, rtp: 14, wr: 16, rfc: 60, refi: 500 },
        ...{ turn: 2, rankTurn: 3 },
      },
      controller: { readQueue: 6, writeQueue: 5, writeHigh: 4, writeLow: 1, starvationCycles: 200 },
    }),
    given,
  );

/** The machine's result for a pattern of requests. */
export async function simulated(config: DramConfig, pattern: Partial<Pattern>): Promise<SimulationResult> {
  const requests = [
    ...memoryRequests({
      ...{ kind: 'stream', requests: 1000, burstBytes: burstBytes(config), spanBytes: capacityBytes(config) },
      ...pattern,
    }),
  ];
  async function* some() {
    yield requests;
  }
  return (await dram.simulate(config, { kind: 'requests', requests: some }, { name: 'test' })) as SimulationResult;
}

/** A channel's log and counts after it served the requests. */
export function played(config: DramConfig, requests: readonly Request[]) {
  const log: Command[] = [];
  const latencies: number[] = [];
  const channel = new DramChannel(config, (_, latency) => latencies.push(latency), log);
  for (const request of requests) channel.enqueue(request);
  channel.drain();
  const served = log.length;
  channel.finish(channel.counts.end);
  return { log: log.slice(0, served), latencies, counts: channel.counts };
}

/** Bank of a rank, group and number in a config of two groups of two. */
export const bankOf = (rank: number, group: number, bank: number): number => (rank * 2 + group) * 2 + bank;

export const read = (bank: number, row = 0, column = 0, arrival = 0): Request => ({
  arrival,
  write: 0,
  bank,
  row,
  column,
});
export const write = (bank: number, row = 0, column = 0, arrival = 0): Request => ({
  arrival,
  write: 1,
  bank,
  row,
  column,
});

export const requestLists = (banks: number, most: number): fc.Arbitrary<Request[]> =>
  fc
    .array(
      fc.record({
        wait: fc.oneof(fc.constant(0), fc.nat(12), fc.nat(400)),
        write: fc.constantFrom<0 | 1>(0, 1),
        bank: fc.nat(banks - 1),
        row: fc.nat(3),
        column: fc.nat(7),
      }),
      { minLength: 1, maxLength: most },
    )
    .map((items) => {
      let arrival = 0;
      return items.map(({ wait, ...request }) => {
        arrival += wait;
        return { arrival, ...request };
      });
    });

/** Memories with gaps of every size, one and two ranks and command buses, both policies. */
export const configs: fc.Arbitrary<DramConfig> = fc
  .record({
    ranks: fc.constantFrom(1, 2),
    commandBuses: fc.constantFrom<1 | 2>(1, 2),
    pagePolicy: fc.constantFrom<'open' | 'closed'>('open', 'closed'),
    starvationCycles: fc.constantFrom(40, 200, 2000),
    timing: fc.record({
      cl: fc.nat(20),
      cwl: fc.nat(20),
      rcdRead: fc.nat(20),
      rcdWrite: fc.nat(20),
      rp: fc.nat(20),
      rpAll: fc.nat(20),
      ras: fc.nat(40),
      rc: fc.nat(60),
      ccdShort: fc.integer({ min: 4, max: 8 }),
      ccdLong: fc.integer({ min: 4, max: 12 }),
      rrdShort: fc.integer({ min: 1, max: 8 }),
      rrdLong: fc.integer({ min: 1, max: 12 }),
      faw: fc.nat(50),
      wtrShort: fc.nat(10),
      wtrLong: fc.nat(15),
      rtp: fc.nat(15),
      wr: fc.nat(20),
      rfc: fc.integer({ min: 1, max: 80 }),
      refi: fc.integer({ min: 300, max: 900 }),
      turn: fc.nat(5),
      rankTurn: fc.nat(5),
    }),
  })
  .map(({ ranks, commandBuses, timing, ...controller }) =>
    small({ organisation: { ranks }, commandBuses, timing, controller }),
  );

/**
 * DRAM on its own: it plays requests to memory (address, read or write, cycle) on channels, ranks, banks and rows with the
 * gaps of a standard, and says what bandwidth, latency and energy come of them. The model is in `memory/`: `channel.ts`
 * schedules, `bank-state.ts` knows the gaps, `dram-config.ts` what can be set.
 */
import { TandemError } from '../errors.js';
import { dramResult } from './dram-totals.js';
import { capacityBytes, type DramConfig, dramSchema } from './memory/dram-config.js';
import { DramSystem } from './memory/dram-system.js';
import { Latencies } from './memory/latencies.js';
import type { Machine } from './types.js';

const NAME = 'dram';

export const dram: Machine<DramConfig> = {
  name: NAME,
  description: 'DDR4, LPDDR4 or HBM2 memory with banks, rows, refresh and a scheduler; plays requests to memory.',
  schema: dramSchema,
  accepts: ['requests'],
  presets: ['ddr4-3200', 'lpddr4-3200', 'hbm2'],
  async simulate(config, workload, { name, signal, onProgress }) {
    if (workload.kind !== 'requests') {
      throw new TandemError('TANDEM_CONFIG_INVALID', 'Memory plays requests only.', {
        remedy: 'Give it a file of requests, one a line: 0x1F40 READ 12.',
      });
    }
    const latencies = { read: new Latencies(), write: new Latencies() };
    const system = new DramSystem(config, ({ write }, cycles) => latencies[write ? 'write' : 'read'].add(cycles));
    let requests = 0;
    signal?.throwIfAborted();
    for await (const some of workload.requests(capacityBytes(config))) {
      signal?.throwIfAborted();
      for (const request of some) system.request(request);
      requests += some.length;
      onProgress?.(requests);
    }
    return dramResult(config, system, { name, requests, latencies });
  },
};

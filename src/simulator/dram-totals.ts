/** From what the channels of a memory did to a result: counts, energy by command, laws. */
import { type ActionCounts, Composition } from '../hardware/compose.js';
import { ConservationLaws } from './conservation.js';
import { type PartActivity, resultOf } from './engine.js';
import type { ChannelCounts } from './memory/channel-counts.js';
import { burstBytes, burstCycles, type DramConfig, peakBytesPerCycle } from './memory/dram-config.js';
import { type DramAction, dramCost } from './memory/dram-energy.js';
import type { DramSystem } from './memory/dram-system.js';
import type { Latencies } from './memory/latencies.js';
import type { SimulationResult } from './types.js';

interface Played {
  readonly name: string;
  readonly requests: number;
  readonly latencies: { readonly read: Latencies; readonly write: Latencies };
}

/** Parts of the bill, and what each is charged for. */
const PARTS: Readonly<Record<string, readonly DramAction[]>> = {
  'activates and precharges': ['activate'],
  reads: ['read'],
  writes: ['write'],
  interface: ['burst'],
  refreshes: ['refresh'],
  standby: ['activeCycle', 'prechargedCycle'],
};

export function dramResult(
  config: DramConfig,
  system: DramSystem,
  { name, requests, latencies }: Played,
): SimulationResult {
  const cycles = system.finish();
  const composition = new Composition(config.technology);
  for (const [part, actions] of Object.entries(PARTS)) composition.add(part, dramCost(config, actions));
  const laws = new ConservationLaws('dram');
  for (const counts of system.counts) checkChannel(laws, config, counts, cycles);
  const parts = system.counts.map((counts, channel) => partOf(config, counts, channel, cycles));
  const total = (key: 'reads' | 'writes' | 'forwarded' | 'merged' | 'rowHits') =>
    system.counts.reduce((sum, counts) => sum + counts[key], 0);
  const bursts = total('reads') + total('writes');
  laws.equal(
    'requests = bursts moved + served from the queue',
    requests,
    bursts + total('forwarded') + total('merged'),
  );
  laws.equal('every request has a latency', requests, latencies.read.count + latencies.write.count);
  const bytes = bursts * burstBytes(config);
  // By the bus alone: the gap between bursts, which the peak counts too, follows each of them but the last.
  const busBytesPerCycle = (burstBytes(config) / burstCycles(config)) * system.counts.length;
  laws.atMost('bytes moved ≤ cycles × bus', bytes, cycles * busBytesPerCycle);
  const busy = system.counts.reduce((sum, { busCycles }) => sum + busCycles, 0);
  const result = resultOf({
    name,
    machine: 'dram',
    configuration: config,
    fidelity: 'cycle',
    cycles,
    composition,
    parts,
    utilisation: { 'data bus': busy / (cycles * system.counts.length) },
    histograms: { readLatency: latencies.read.bins, writeLatency: latencies.write.bins },
    timeline: [],
    laws,
    remarks: REMARKS,
  });
  const perSecond = (bytesPerCycle: number) => bytesPerCycle * config.technology.clockHertz;
  const [readLatency, writeLatency] = [latencies.read.summary, latencies.write.summary];
  return {
    ...result,
    memory: {
      bytesPerSecond: perSecond(bytes / cycles),
      peakBytesPerSecond: perSecond(peakBytesPerCycle(config)),
      rowHitShare: bursts === 0 ? 0 : total('rowHits') / bursts,
      ...(readLatency && { readLatency }),
      ...(writeLatency && { writeLatency }),
    },
  };
}

function partOf(config: DramConfig, counts: ChannelCounts, channel: number, cycles: number): PartActivity {
  const bursts = counts.reads + counts.writes;
  const { end: _, busCycles, activeCycles, ...shown } = counts;
  const prechargedCycles = config.organisation.ranks * cycles - activeCycles;
  const actions: ActionCounts = {
    'activates and precharges': { activate: counts.activates },
    reads: { read: counts.reads },
    writes: { write: counts.writes },
    interface: { burst: bursts },
    refreshes: { refresh: counts.refreshes },
    standby: { activeCycle: activeCycles, prechargedCycle: prechargedCycles },
  };
  return {
    layer: `channel ${channel}`,
    cycles,
    utilisation: busCycles / cycles,
    counts: { ...shown, bytes: bursts * burstBytes(config), busCycles, activeCycles, prechargedCycles },
    actions,
  };
}

function checkChannel(laws: ConservationLaws, config: DramConfig, counts: ChannelCounts, cycles: number): void {
  const { ranks } = config.organisation;
  const bursts = counts.reads + counts.writes;
  laws.equal('bursts = row hits + misses + conflicts', bursts, counts.rowHits + counts.rowMisses + counts.rowConflicts);
  laws.equal('activates = precharges + open rows', counts.activates, counts.precharges + counts.openBanks);
  laws.atMost('row misses ≤ activates', counts.rowMisses, counts.activates);
  laws.atMost('row conflicts ≤ precharges', counts.rowConflicts, counts.precharges);
  laws.equal('cycles with data = bursts × their length', counts.busCycles, bursts * burstCycles(config));
  laws.atMost('cycles with data ≤ cycles', counts.busCycles, cycles);
  laws.atMost('cycles with open rows ≤ cycles × ranks', counts.activeCycles, ranks * cycles);
  laws.atMost('refreshes ≤ those due', counts.refreshes, ranks * Math.ceil(cycles / config.timing.refi));
}

const REMARKS = [
  'A request is one burst of the memory. Requests of a channel enter in their order; one whose queue is full holds back those behind it.',
  'Refresh is of all banks of a rank, when due; power-down, self-refresh, temperature and error correction are not modelled.',
];

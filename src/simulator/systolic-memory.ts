/**
 * Off-chip traffic of the dense systolic array. A simple model, between the compulsory traffic and none of the reuse:
 * an operand that fits its buffer (half of it, for double buffering) is fetched once; one that does not is fetched anew
 * for every pass of the array over it. Partial sums that do not fit go out and come back at every further pass.
 * Larger buffers never cause more traffic. SCALE-Sim instead replays addresses and finds some reuse in between.
 */
import { dramBytesPerSecond } from '../hardware/components/index.js';
import type { GemmLayer } from '../workload/types.js';
import { BandwidthMemory } from './memory/bandwidth.js';
import { memoryOf } from './memory/settings.js';
import type { Memory } from './memory/types.js';
import type { SystolicConfig } from './systolic-config.js';
import type { SystolicCounts } from './systolic-counts.js';

export interface OffChipTraffic {
  /** Operands fetched: elements. */
  readonly ifmapFetches: number;
  readonly filterFetches: number;
  /** Partial sums written out and read back: elements each way. */
  readonly spills: number;
  readonly readBits: number;
  readonly writtenBits: number;
  /** Cycles that the traffic takes of its own. */
  readonly cycles: number;
}

export function offChipTraffic(
  config: SystolicConfig,
  { m, n, k }: Pick<GemmLayer, 'm' | 'n' | 'k'>,
  counts: SystolicCounts,
): OffChipTraffic {
  const { operandBits, accumulatorBits, sram, array, dataflow } = config;
  const fits = (elements: number, bits: number, kilobytes: number) => elements * bits <= (kilobytes * 1024 * 8) / 2;
  const ifmapFetches = fits(m * k, operandBits, sram.ifmapKilobytes) ? m * k : counts.ifmapReads;
  const filterFetches = fits(k * n, operandBits, sram.filterKilobytes) ? k * n : counts.filterReads;
  const sums = dataflow === 'is' ? n * Math.min(m, array.columns) : m * Math.min(n, array.columns);
  const spills = fits(sums, accumulatorBits, sram.ofmapKilobytes) ? 0 : counts.ofmapReads;
  const readBits = (ifmapFetches + filterFetches) * operandBits + spills * accumulatorBits;
  const writtenBits = m * n * operandBits + spills * accumulatorBits;
  return {
    ifmapFetches,
    filterFetches,
    spills,
    readBits,
    writtenBits,
    cycles: systolicMemory(config).cycles({ readBits, writtenBits }),
  };
}

export const systolicMemory = (config: SystolicConfig): Memory => memoryOf(config, plainMemory);

const plainMemory = (config: SystolicConfig): Memory =>
  new BandwidthMemory(bitsPerCycle(config), config.dram, config.technology);

function bitsPerCycle({ bandwidthWordsPerCycle, operandBits, dram, technology }: SystolicConfig): number {
  if (bandwidthWordsPerCycle !== undefined) return bandwidthWordsPerCycle * operandBits;
  return (dramBytesPerSecond(dram) * 8) / technology.clockHertz;
}

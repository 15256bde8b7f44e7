/**
 * DRAM as a machine's memory: consecutive bits through banks, rows, refresh and turn-around, in closed form (`stream.ts`),
 * so that a transfer costs no more to simulate than with a plain bandwidth. Tests hold it against `channel.ts`.
 */
import { certaintyInterval } from '../../hardware/certainty.js';
import type { Constant } from '../../hardware/types.js';
import { burstBytes, burstCycles, type DramConfig, peakBytesPerCycle } from './dram-config.js';
import { dramCost } from './dram-energy.js';
import { availableShare, openRowsOfStream, streamSpacing, unloadedLatency } from './stream.js';
import type { Memory } from './types.js';

/** mW of 1 pJ a second: 1e-9. */
const MILLIWATTS_PER_PICOJOULE_A_SECOND = 1e-9;

/**
 * @param clockHertz of the machine, whose cycles the times are in
 * @param constants where the configuration's numbers come from
 */
export function dramMemory(
  name: string,
  config: DramConfig,
  clockHertz: number,
  constants: readonly Constant[] = [],
): Memory {
  const { organisation, timing, energy, technology } = config;
  const { channels, ranks, rowBytes } = organisation;
  const machineCycles = clockHertz / technology.clockHertz;
  const bits = 8 * burstBytes(config);
  const spacing = streamSpacing(config) / availableShare(config);
  const busy = (moved: number) => Math.ceil(Math.ceil(moved / bits) / channels) * spacing;
  // Data of reads, idle, data of writes, idle until data of reads come again.
  const turn = timing.turn + timing.wtrShort + timing.cl;
  const rows = ranks * channels;
  const refreshesPerSecond = (rows * technology.clockHertz) / timing.refi;
  const standby =
    rows * energy.activeMilliwatts + refreshesPerSecond * energy.refreshPicojoules * MILLIWATTS_PER_PICOJOULE_A_SECOND;
  // A stream opens each row once, and once more those that a refresh closed.
  const activatesPerBit = 1 / (8 * rowBytes) + (openRowsOfStream(config) * spacing) / (timing.refi * bits);
  const cost = dramCost(config, ['activate', 'read', 'write', 'burst']);
  const peak = (8 * peakBytesPerCycle(config)) / machineCycles;
  return {
    model: 'dram',
    bitsPerCycle: peak,
    latencyCycles: (unloadedLatency(config) - burstCycles(config)) * machineCycles,
    cycles({ readBits, writtenBits }) {
      const turns = writtenBits > 0 ? turn : 0;
      return Math.ceil((busy(readBits) + busy(writtenBits) + turns) * machineCycles);
    },
    cost: {
      ...cost,
      leakageMilliwatts: standby,
      constants: [
        ...cost.constants,
        ...(['activeMilliwatts', 'refreshPicojoules'] as const).map((key) => ({
          name: `dram.${key}`,
          value: energy[key],
          unit: key === 'activeMilliwatts' ? 'mW' : 'pJ',
          source: 'settings under energy; a preset names their sources',
          certainty: 'assumed' as const,
        })),
      ],
      interval: certaintyInterval('assumed'),
    },
    actions({ readBits, writtenBits }) {
      const moved = readBits + writtenBits;
      return {
        activate: moved * activatesPerBit,
        read: readBits / bits,
        write: writtenBits / bits,
        burst: moved / bits,
      };
    },
    remark: `Memory: ${name}, timed as a DRAM: ${channels} ${channels === 1 ? 'channel' : 'channels'}, at most ${Number((peak / 8).toPrecision(4))} bytes per cycle, of which refresh leaves ${(100 * availableShare(config)).toFixed(1)} %; writes turn the bus around. Consecutive addresses; energy by command, with refresh and standby (${Number(standby.toPrecision(3))} mW) as leakage.`,
    constants,
  };
}

/**
 * What ELECTOR's modules cost: the figures of AccelTran's simulator, which TransCODE builds on. All of them hold for
 * one technology, so nothing here is scaled. Areas in µm², powers in mW while busy (dynamic) or powered (leakage).
 */
import { TandemError } from '../../errors.js';
import type { Certainty, Constant, Technology } from '../../hardware/types.js';
import type { ElectorConfig, MemoryName } from './config.js';

/** The technology of every cost below: 14 nm FinFET. */
export const TECHNOLOGY: Technology = { nodeNanometres: 14, voltage: 0.8, clockHertz: 700e6 };
/** Clock as AccelTran's simulator divides by it: mW / MHz = nJ per cycle. */
export const CLOCK_MEGAHERTZ = 700;
/** A value: 4 integer and 16 fraction bits. */
export const WORD_BITS = 20;
/** Words behind one access to a buffer or to main memory. AccelTran calls the block bytes, and counts words. */
export const BLOCK_WORDS = 64;
/** The tile edges and multipliers per lane that were synthesised. */
export const TILE_EDGES = [8, 16, 32] as const;
export const MACS_PER_LANE = [1, 16] as const;

const SYNTHESIS = 'AccelTran simulator (arXiv 2302.14705), 14 nm FinFET synthesis at 0.8 V, 700 MHz';
const FINCACTI = 'AccelTran simulator (arXiv 2302.14705), FinCACTI';
const MEMORY_MODEL = 'AccelTran simulator (arXiv 2302.14705), NVSim and NVMain';

function constant(
  name: string,
  value: number,
  unit: string,
  source: string,
  certainty: Certainty = 'published',
  note?: string,
): Constant {
  const noted = note === undefined ? {} : { note };
  return { name: `elector.${name}`, value, unit, source, certainty, nodeNanometres: 14, ...noted };
}

/** One instance of a module. */
export interface ModuleCost {
  readonly areaSquareMicrometres: Constant;
  /** While it works. mW / 700 MHz = nJ a cycle. */
  readonly dynamicMilliwatts: Constant;
  readonly leakageMilliwatts: Constant;
}

function module(name: string, area: number, dynamic: number, leakage: number): ModuleCost {
  return {
    areaSquareMicrometres: constant(`${name}.area`, area, 'µm²', SYNTHESIS),
    dynamicMilliwatts: constant(`${name}.dynamicPower`, dynamic, 'mW', SYNTHESIS),
    leakageMilliwatts: constant(`${name}.leakagePower`, leakage, 'mW', SYNTHESIS),
  };
}

const LANES: Readonly<Record<ElectorConfig['nonLinearity'], Readonly<Record<number, ModuleCost>>>> = {
  relu: {
    1: module('lane.1-relu', 597.964253, 0.2756146, 0.0223711),
    16: module('lane.16-relu', 8819.484999, 4.8926, 0.3003),
  },
  gelu: {
    1: module('lane.1-gelu', 1209.955838, 0.6705926, 0.0419121),
    16: module('lane.16-gelu', 9418.667591, 5.1955, 0.3189685),
  },
};

const LAYER_NORM: Readonly<Record<number, ModuleCost>> = {
  8: module('layerNorm.8', 20631.005754, 12.6646, 0.6594879),
  16: module('layerNorm.16', 81104.126482, 43.8378, 2.5753),
  32: module('layerNorm.32', 318834.6362, 151.48, 10.03566),
};

const SOFTMAX: Readonly<Record<number, ModuleCost>> = {
  8: module('softmax.8', 22008.079435, 9.1386, 0.6824872),
  16: module('softmax.16', 87573.326116, 34.6343, 2.6696),
  32: module('softmax.32', 348466.9006, 131.2602298481, 10.4423),
};

/** Per lane: the FIFO of its inputs, the units before and behind its multipliers; per PE: dataflow unit and DMA port. */
export const FIFO = module('fifo', 484.37911, 0.0563909, 0.0140774);
export const PRE_SPARSITY = module('preSparsity', 6216.896914, 0.2852968, 0.1507329);
export const POST_SPARSITY = module('postSparsity', 1181.201447, 0.2613971, 0.0324301);
/** Per lane, when the machine is built for training. */
export const STOCHASTIC_ROUNDING = module('stochasticRounding', 79.043665, 0.021657, 0.0040125);
export const DATAFLOW = module('dataflow', 75946.982008, 11.3711, 2.7312);
export const DMA = module('dma', 144.636242, 0.0335287, 0.0063819);

/** @throws TANDEM_CONFIG_INVALID for a number of multipliers without a published cost */
export function laneCost({
  macsPerLane,
  nonLinearity,
}: Pick<ElectorConfig, 'macsPerLane' | 'nonLinearity'>): ModuleCost {
  const cost = LANES[nonLinearity][macsPerLane];
  if (cost) return cost;
  throw new TandemError('TANDEM_CONFIG_INVALID', `The cost of a lane of ${macsPerLane} multipliers is not known.`, {
    place: 'macsPerLane',
    remedy: `Use ${MACS_PER_LANE.join(' or ')}.`,
  });
}

/** @throws TANDEM_CONFIG_INVALID for a tile without a published cost */
export const softmaxCost = ({ tile }: Pick<ElectorConfig, 'tile'>): ModuleCost => ofTile(SOFTMAX, tile);

/** @throws TANDEM_CONFIG_INVALID for a tile without a published cost */
export const layerNormCost = ({ tile }: Pick<ElectorConfig, 'tile'>): ModuleCost => ofTile(LAYER_NORM, tile);

function ofTile(costs: Readonly<Record<number, ModuleCost>>, { x, y }: ElectorConfig['tile']): ModuleCost {
  const cost = costs[x];
  if (x === y && cost) return cost;
  throw new TandemError('TANDEM_CONFIG_INVALID', `The cost of units for tiles of ${x} × ${y} is not known.`, {
    place: 'tile',
    remedy: `Use equal x and y, one of ${TILE_EDGES.join(', ')}.`,
  });
}

export type BufferName = 'activation' | 'weight' | 'mask';

export interface BufferCost {
  readonly areaPerMegabyte: Constant;
  /** One access to a buffer of 1 MB, nJ; one of S MB costs √S times as much. */
  readonly accessNanojoules: Constant;
  readonly leakagePerMegabyte: Constant;
}

function buffer(name: BufferName, area: number, access: number, leakage: number, at: string): BufferCost {
  const note = `mean of read and write at ${at}, over √size`;
  return {
    areaPerMegabyte: constant(`${name}Buffer.areaPerMegabyte`, area, 'µm²/MB', FINCACTI, 'derived'),
    accessNanojoules: constant(`${name}Buffer.accessEnergy`, access, 'nJ/√MB', FINCACTI, 'derived', note),
    leakagePerMegabyte: constant(`${name}Buffer.leakagePerMegabyte`, leakage, 'mW/MB', FINCACTI, 'derived'),
  };
}

export const BUFFERS: Readonly<Record<BufferName, BufferCost>> = {
  weight: buffer('weight', 294100.83, 0.0856588, 210.40467, '24 MB: 0.42123 and 0.418051 nJ'),
  activation: buffer('activation', 303305.83, 0.079275099, 247.918667, '12 MB: 0.275546 and 0.273688 nJ'),
  mask: buffer('mask', 302565, 0.08200675, 238.196, '4 MB: 0.164271 and 0.163756 nJ'),
};

/** Size of a buffer, MB. */
export function bufferMegabytes({ buffers }: Pick<ElectorConfig, 'buffers'>, name: BufferName): number {
  if (name === 'activation') return buffers.activationMegabytes;
  return name === 'weight' ? buffers.weightMegabytes : buffers.maskMegabytes;
}

/** Energy of one access to a buffer of the configuration's size, nJ. */
export function bufferAccessNanojoules(config: Pick<ElectorConfig, 'buffers'>, name: BufferName): number {
  return BUFFERS[name].accessNanojoules.value * Math.sqrt(bufferMegabytes(config, name));
}

/** A path for data, as bytes per second and as AccelTran's simulator uses it. */
export interface Bandwidth {
  /** GB of 2^30 bytes. */
  readonly gigabytesPerSecond: Constant;
  /**
   * Bits per cycle as published: 2^30 bytes a second over 700 MHz, times 20 bits a word. That takes each byte for a
   * word of 20 bits, 2.5 times too many.
   */
  readonly publishedBitsPerCycle: Constant;
}

function bandwidth(name: string, gigabytes: number, bits: number, source: string): Bandwidth {
  const note = `${gigabytes} GB/s · 2^30 · 20 bits / 700 MHz: bytes taken for words`;
  return {
    gigabytesPerSecond: constant(`${name}.bandwidth`, gigabytes, 'GiB/s', source),
    publishedBitsPerCycle: constant(`${name}.bitsPerCycle`, bits, 'bit/cycle', source, 'derived', note),
  };
}

/** All three buffers. */
export const BUFFER_BANDWIDTH = bandwidth('buffer', 370, 11350.98, FINCACTI);

const LOW_BANDWIDTH = bandwidth('memory.low', 25.6, 785.365, MEMORY_MODEL);
const HIGH_BANDWIDTH = bandwidth('memory.high', 256, 7853.65, MEMORY_MODEL);

/** Main memory. Its leakage, refresh and area are not published. */
export interface MemoryCost extends Bandwidth {
  /** One access of a block of 64 words, nJ. */
  readonly accessNanojoules: Constant;
}

const ACCESS_NANOJOULES: Readonly<Record<MemoryName, number>> = {
  'rram-16-2-2': 17.321165,
  'rram-8-2-4': 32.655499,
  'rram-4-2-8': 69.3328008,
  'rram-2-2-16': 149.0564671,
  'rram-32-2-1': 8.63281599,
  'rram-1-2-32': 340.9690911,
  'dram-16-2-2': 69.00706337,
  'dram-8-2-4': 200.2819855,
  'dram-32-2-1': 13.43777522,
  'dram-16-4-1': 38.28777884,
  'hbm-32-1-4': 26.5569841,
};

/** DRAM stands off the chip and has the low bandwidth; HBM and stacked RRAM have the high one. */
export function memoryCost(name: MemoryName): MemoryCost {
  return {
    accessNanojoules: constant(`memory.${name}.accessEnergy`, ACCESS_NANOJOULES[name], 'nJ', MEMORY_MODEL),
    ...(name.startsWith('dram') ? LOW_BANDWIDTH : HIGH_BANDWIDTH),
  };
}

/** @throws TANDEM_CONFIG_INVALID: there are no costs for other technologies */
export function requireTechnology({ technology }: Pick<ElectorConfig, 'technology'>): void {
  for (const [key, needed] of Object.entries(TECHNOLOGY)) {
    const given = technology[key as keyof Technology];
    if (given === needed) continue;
    throw new TandemError('TANDEM_CONFIG_INVALID', `ELECTOR’s costs are not known at ${key} = ${given}.`, {
      place: `technology.${key}`,
      remedy: 'Use 14 nm, 0.8 V and 700 MHz, the technology of the published costs.',
    });
  }
}

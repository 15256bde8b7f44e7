/**
 * The best row-stationary mapping of a matrix product. All mappings are considered, but most are never priced: they are
 * ordered by a bound that none of their tilings can beat (all fetched once, images in one tile), and the search ends
 * when the next bound is no better than the best mapping found.
 */
import type { GemmLayer } from '../workload/types.js';
import { type EyerissConfig, HIERARCHY } from './eyeriss-config.js';
import {
  type Dimension,
  holds,
  type Mapping,
  type MappingCosts,
  mappingCosts,
  type PassCosts,
  passCosts,
  passSizes,
  REGISTER_FILE_PER_MAC,
  type Sizes,
} from './eyeriss-mapping.js';
import { eyerissMemory } from './eyeriss-memory.js';

/** Energy of an off-chip word relative to a MAC. */
export type Weights = { readonly dram: number };

export interface Found {
  readonly mapping: Mapping;
  readonly costs: MappingCosts;
}

const ORDERS: readonly Mapping['order'][] = [
  ['images', 'filters', 'channels'],
  ['images', 'channels', 'filters'],
  ['filters', 'images', 'channels'],
  ['filters', 'channels', 'images'],
  ['channels', 'images', 'filters'],
  ['channels', 'filters', 'images'],
];

/** Energy of a mapping, in MACs. */
export function relativeEnergy(costs: MappingCosts, { dram }: Weights): number {
  const { macs, registerFile, betweenPes, bufferReads, bufferWrites } = costs;
  const offChip = costs.inputsFetched + costs.filtersFetched + costs.sumsFetched + costs.sumsStored;
  return (
    macs +
    HIERARCHY.registerFile * registerFile +
    HIERARCHY.betweenPes * betweenPes +
    HIERARCHY.buffer * (bufferReads + bufferWrites) +
    dram * offChip
  );
}

export function objectiveOf({ objective }: EyerissConfig, cycles: number, energy: number): number {
  if (objective === 'cycles') return cycles;
  return objective === 'energy' ? energy : cycles * energy;
}

/** @returns undefined when not even a tile of one pass and one image fits the global buffer */
export function bestMapping(
  config: EyerissConfig,
  { m, n, k }: Pick<GemmLayer, 'm' | 'n' | 'k'>,
  weights: Weights,
): Found | undefined {
  const candidates = (['b', 'a'] as const).flatMap((filterOperand) => {
    const sizes =
      filterOperand === 'b' ? { images: m, filters: n, channels: k } : { images: n, filters: m, channels: k };
    return arrangements(config, sizes).map((arrangement) => ({
      arrangement,
      sizes,
      filterOperand,
      bound: boundOf(
        config,
        sizes,
        arrangement,
        weights,
        sizes.images,
        passCosts(config, arrangement, sizes, sizes.images),
      ),
    }));
  });
  candidates.sort((one, other) => one.bound - other.bound);
  let best: (Found & { readonly objective: number }) | undefined;
  for (const { arrangement, sizes, filterOperand, bound } of candidates) {
    if (best && bound >= best.objective) break;
    for (const images of shares(sizes.images, Infinity)) {
      const passes = passCosts(config, arrangement, sizes, images);
      if (best && boundOf(config, sizes, arrangement, weights, images, passes) >= best.objective) continue;
      for (const tile of tilings(config, sizes, arrangement, images)) {
        for (const order of ORDERS) {
          const mapping: Mapping = { filterOperand, ...arrangement, tile, order };
          const costs = mappingCosts(config, sizes, mapping, passes);
          const objective = objectiveOf(config, costs.cycles, relativeEnergy(costs, weights));
          if (!best || objective < best.objective) best = { mapping, costs, objective };
        }
      }
    }
  }
  return best && { mapping: best.mapping, costs: best.costs };
}

type Arrangement = Pick<Mapping, 'perPe' | 'spread'>;

/** Ways to spread a product over the PEs and their register files, each with as many images side by side as there is room for. */
export function arrangements(config: EyerissConfig, sizes: Sizes): Arrangement[] {
  const { registerFile } = config;
  const found: Arrangement[] = [];
  for (const spread of spreads(config, sizes)) {
    const filtersEach = Math.ceil(sizes.filters / spread.filters);
    const channelsEach = Math.ceil(sizes.channels / spread.channels);
    for (const filters of shares(filtersEach, registerFile.sumWords)) {
      for (const channels of shares(channelsEach, registerFile.inputWords)) {
        if (filters * channels <= registerFile.filterWords) found.push({ spread, perPe: { filters, channels } });
      }
    }
  }
  return found;
}

/** Channels along a column; filters and images along both edges of the array. */
function spreads({ array }: EyerissConfig, sizes: Sizes): Sizes[] {
  const most = new Map<string, Sizes>();
  for (let channels = 1; channels <= Math.min(array.rows, sizes.channels); channels++) {
    const down = Math.floor(array.rows / channels);
    for (let filtersDown = 1; filtersDown <= down; filtersDown++) {
      for (let filtersAcross = 1; filtersAcross <= array.columns; filtersAcross++) {
        const filters = filtersDown * filtersAcross;
        if (filters > sizes.filters) break;
        const free = Math.floor(down / filtersDown) * Math.floor(array.columns / filtersAcross);
        // As few PEs as take the images in as few steps as all free ones would.
        const images = Math.ceil(sizes.images / Math.ceil(sizes.images / free));
        const key = `${channels}/${filters}`;
        if (images > (most.get(key)?.images ?? 0)) most.set(key, { images, filters, channels });
      }
    }
  }
  return [...most.values()];
}

/** Lengths that cut `total` into equal shares (the last may be shorter), at most `most` long, longest first. */
function shares(total: number, most: number): number[] {
  const found: number[] = [];
  for (let count = Math.max(1, Math.ceil(total / most)); count <= total; ) {
    const share = Math.ceil(total / count);
    found.push(share);
    if (share === 1) break;
    // The fewest shares that are shorter.
    count = Math.ceil(total / (share - 1));
  }
  return found;
}

/** No tiles of filters and channels, and no order of loops, give this arrangement a better objective. */
function boundOf(
  config: EyerissConfig,
  sizes: Sizes,
  arrangement: Arrangement,
  weights: Weights,
  tileImages: number,
  passes: PassCosts,
): number {
  const { images, filters, channels } = sizes;
  const pass = passSizes(arrangement);
  const macs = images * filters * channels;
  const inputReads = images * channels * Math.ceil(filters / pass.filters);
  const filterReads = filters * channels * Math.ceil(images / tileImages);
  const sumWrites = images * filters * Math.ceil(channels / pass.channels);
  const operands = images * channels + filters * channels;
  const energy =
    macs * (1 + HIERARCHY.registerFile * REGISTER_FILE_PER_MAC) +
    HIERARCHY.betweenPes * passes.betweenPes +
    HIERARCHY.buffer * (inputReads + filterReads + 2 * sumWrites + operands) +
    weights.dram * (operands + images * filters);
  const memoryCycles = eyerissMemory(config).cycles({
    readBits: operands * config.operandBits,
    writtenBits: images * filters * config.operandBits,
  });
  // Rounding in the last digit must not hide a mapping that reaches the bound.
  return (1 - 1e-12) * objectiveOf(config, Math.max(passes.cycles, memoryCycles), energy);
}

/** Tiles that the global buffer holds, from large to small. */
function* tilings(config: EyerissConfig, sizes: Sizes, arrangement: Arrangement, images: number): Generator<Sizes> {
  const pass = passSizes(arrangement);
  const lengths = (dimension: Exclude<Dimension, 'images'>) =>
    shares(Math.ceil(sizes[dimension] / pass[dimension]), Infinity).map((passes) =>
      Math.min(passes * pass[dimension], sizes[dimension]),
    );
  for (const channels of lengths('channels')) {
    for (const filters of lengths('filters')) {
      const tile = { images, filters, channels };
      if (holds(config, tile, 1)) yield tile;
    }
  }
}

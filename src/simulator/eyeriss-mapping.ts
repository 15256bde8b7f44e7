/**
 * What a row-stationary mapping of a matrix product costs on Eyeriss.
 *
 * A product C[M×N] = A[M×K]·B[K×N] is a convolution with filters of one element: the rows of the inputs are M images of
 * one pixel with K channels, the columns of the filters N filters. Either operand can be the filters (the other way round
 * it is Cᵀ = Bᵀ·Aᵀ). Of the row-stationary dataflow this leaves:
 *   - a PE holds `filters` × `channels` filter elements, takes `channels` inputs and sums into `filters` partial sums;
 *   - PEs side by side work on other images, other filters, or (in a column only, where sums are passed on) other channels;
 *   - in a pass the array keeps its filter elements while all images of a tile stream by;
 *   - folding: passes go through filters and channels, with partial sums in the global buffer between two passes;
 *   - replication: where one set of channels × filters leaves PEs idle, more images or filters run beside it;
 *   - tiles of inputs, filters and sums come from off-chip memory in one of six loop orders.
 */
import type { EyerissConfig } from './eyeriss-config.js';
import { eyerissMemory } from './eyeriss-memory.js';

/** Images × filters × channels. */
export interface Sizes {
  readonly images: number;
  readonly filters: number;
  readonly channels: number;
}

export type Dimension = keyof Sizes;

export interface Mapping {
  /** Of A[M×K] and B[K×N], the one whose elements stay in the PEs. */
  readonly filterOperand: 'a' | 'b';
  /** Filters and channels of one PE. */
  readonly perPe: Omit<Sizes, 'images'>;
  /** PEs over which each dimension is spread. */
  readonly spread: Sizes;
  /** Of a tile in the global buffer: filters and channels are multiples of what a pass covers. */
  readonly tile: Sizes;
  /** Loops over tiles, outermost first. */
  readonly order: readonly [Dimension, Dimension, Dimension];
}

export interface MappingCosts {
  readonly cycles: number;
  /** Cycles of all passes, and of off-chip memory. */
  readonly passCycles: number;
  readonly memoryCycles: number;
  readonly passes: number;
  readonly macs: number;
  /** Words by level of the hierarchy. */
  readonly registerFile: number;
  readonly betweenPes: number;
  readonly bufferReads: number;
  readonly bufferWrites: number;
  readonly inputsFetched: number;
  readonly filtersFetched: number;
  readonly sumsFetched: number;
  readonly sumsStored: number;
}

/** A MAC reads an input, a filter element and a sum, and writes the sum. */
export const REGISTER_FILE_PER_MAC = 4;

/** What a pass covers of filters and channels. */
export const passSizes = ({ perPe, spread }: Pick<Mapping, 'perPe' | 'spread'>): Omit<Sizes, 'images'> => ({
  filters: perPe.filters * spread.filters,
  channels: perPe.channels * spread.channels,
});

const OPERANDS: Readonly<Record<'inputs' | 'filters' | 'sums', readonly Dimension[]>> = {
  inputs: ['images', 'channels'],
  filters: ['filters', 'channels'],
  sums: ['images', 'filters'],
};

/** Words that a tile takes in the global buffer. */
export const tileWords = ({ images, filters, channels }: Sizes): number =>
  images * channels + filters * channels + images * filters;

/**
 * How often an operand goes through the global buffer: a loop that does not move it brings it again when a loop inside
 * of it does move it.
 */
function rounds(operand: keyof typeof OPERANDS, order: Mapping['order'], trips: Sizes): number {
  let product = 1;
  let moved = false;
  for (const dimension of [...order].reverse()) {
    if (OPERANDS[operand].includes(dimension)) moved ||= trips[dimension] > 1;
    else if (moved) product *= trips[dimension];
  }
  return product;
}

/** Sizes of the pieces that a length is cut into, and how many there are of each: full ones, and one rest. */
function pieces(length: number, piece: number): readonly (readonly [size: number, times: number])[] {
  const full = Math.floor(length / piece);
  const rest = length - full * piece;
  const all: [number, number][] = [];
  if (full > 0) all.push([piece, full]);
  if (rest > 0) all.push([rest, 1]);
  return all;
}

/** Whether a pass's filter elements can be loaded while the pass before it runs. */
export const loadsAhead = ({ registerFile }: EyerissConfig, { perPe }: Pick<Mapping, 'perPe'>): boolean =>
  2 * perPe.filters * perPe.channels <= registerFile.filterWords;

/** Cycles of a pass over so many images, filters and channels. */
export function passCycles(config: EyerissConfig, mapping: Pick<Mapping, 'perPe' | 'spread'>, sizes: Sizes): number {
  const { spread } = mapping;
  const per = (dimension: Dimension) => Math.ceil(sizes[dimension] / spread[dimension]);
  const words = (count: number) => Math.ceil(count / config.networkWordsPerCycle);
  const work = per('images') * per('filters') * per('channels');
  const inputs = words(sizes.images * sizes.channels);
  const filters = words(sizes.filters * sizes.channels);
  // Sums come in on one network and leave on another.
  const streaming = Math.max(work, inputs, words(sizes.images * sizes.filters));
  return loadsAhead(config, mapping) ? Math.max(streaming, filters) : streaming + filters;
}

/** What the passes cost, whatever the tiles of filters and channels and the order of loops. */
export interface PassCosts {
  readonly cycles: number;
  /** Words between PEs. */
  readonly betweenPes: number;
}

/** Passes over images in tiles of `tileImages`. A product's first filter elements come during the product before it. */
export function passCosts(
  config: EyerissConfig,
  mapping: Pick<Mapping, 'perPe' | 'spread'>,
  sizes: Sizes,
  tileImages: number,
): PassCosts {
  const pass = passSizes(mapping);
  let cycles = 0;
  for (const [images, m] of pieces(sizes.images, tileImages)) {
    for (const [filters, n] of pieces(sizes.filters, pass.filters)) {
      for (const [channels, k] of pieces(sizes.channels, pass.channels)) {
        cycles += m * n * k * passCycles(config, mapping, { images, filters, channels });
      }
    }
  }
  return { cycles, betweenPes: deliveries(mapping, sizes, tileImages) };
}

/** Cycles of loading the first filter elements of all, which nothing hides; 0 where each pass waits for its own. */
export function firstLoadCycles(
  config: EyerissConfig,
  mapping: Pick<Mapping, 'perPe' | 'spread'>,
  sizes: Sizes,
): number {
  if (!loadsAhead(config, mapping)) return 0;
  const pass = passSizes(mapping);
  const words = Math.min(pass.filters, sizes.filters) * Math.min(pass.channels, sizes.channels);
  return Math.ceil(words / config.networkWordsPerCycle);
}

/** Costs of a mapping; the mapping must fit the machine. `passes` may be given where they are known. */
export function mappingCosts(
  config: EyerissConfig,
  sizes: Sizes,
  mapping: Mapping,
  passes: PassCosts = passCosts(config, mapping, sizes, mapping.tile.images),
): MappingCosts {
  const { images, filters, channels } = sizes;
  const { tile, order } = mapping;
  const pass = passSizes(mapping);
  const trips = {
    images: Math.ceil(images / tile.images),
    filters: Math.ceil(filters / tile.filters),
    channels: Math.ceil(channels / tile.channels),
  };
  const macs = images * filters * channels;
  const filterPasses = Math.ceil(filters / pass.filters);
  const channelPasses = Math.ceil(channels / pass.channels);
  const inputsFetched = images * channels * rounds('inputs', order, trips);
  const filtersFetched = filters * channels * rounds('filters', order, trips);
  const sumsStored = images * filters * rounds('sums', order, trips);
  const sumsFetched = sumsStored - images * filters;
  const inputReads = images * channels * filterPasses;
  const filterReads = filters * channels * trips.images;
  const sumWrites = images * filters * channelPasses;
  const sumReads = sumWrites - images * filters;
  const fetched = inputsFetched + filtersFetched + sumsFetched;
  const memoryCycles = eyerissMemory(config).cycles({
    readBits: fetched * config.operandBits,
    writtenBits: sumsStored * config.operandBits,
  });
  return {
    // Memory works beside the array when the buffer holds the next tile, too.
    cycles: holds(config, tile, 2) ? Math.max(passes.cycles, memoryCycles) : passes.cycles + memoryCycles,
    passCycles: passes.cycles,
    memoryCycles,
    passes: trips.images * filterPasses * channelPasses,
    macs,
    registerFile: REGISTER_FILE_PER_MAC * macs,
    betweenPes: passes.betweenPes,
    bufferReads: inputReads + filterReads + sumReads + sumsStored,
    bufferWrites: fetched + sumWrites,
    inputsFetched,
    filtersFetched,
    sumsFetched,
    sumsStored,
  };
}

/** Words between PEs: a word counts once for each PE that takes it; a sum once for each PE of its column that adds to it. */
function deliveries(
  mapping: Pick<Mapping, 'perPe' | 'spread'>,
  { images, filters, channels }: Sizes,
  tileImages: number,
): number {
  const { spread } = mapping;
  const pass = passSizes(mapping);
  const takers = (length: number, piece: number, pes: number) =>
    pieces(length, piece).reduce((sum, [size, times]) => sum + times * Math.min(size, pes), 0);
  return (
    images * channels * takers(filters, pass.filters, spread.filters) +
    filters * channels * takers(images, tileImages, spread.images) +
    images * filters * takers(channels, pass.channels, spread.channels)
  );
}

/** Whether the global buffer holds a tile so many times. */
export const holds = ({ bufferBytes, operandBits }: EyerissConfig, tile: Sizes, times: number): boolean =>
  times * tileWords(tile) * operandBits <= bufferBytes * 8;

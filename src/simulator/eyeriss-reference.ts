/** A mapping carried out loop by loop, every word counted where it moves: slow, and plain enough to check by reading. */
import type { EyerissConfig } from './eyeriss-config.js';
import { type Dimension, type Mapping, type MappingCosts, passSizes, type Sizes } from './eyeriss-mapping.js';

interface Range {
  readonly from: number;
  readonly to: number;
}

const ranges = ({ from, to }: Range, step: number): Range[] => {
  const all: Range[] = [];
  for (let at = from; at < to; at += step) all.push({ from: at, to: Math.min(to, at + step) });
  return all;
};
const length = ({ from, to }: Range) => to - from;

export type ReferenceCounts = Omit<MappingCosts, 'cycles' | 'memoryCycles'>;

export function referenceCounts(config: EyerissConfig, sizes: Sizes, mapping: Mapping): ReferenceCounts {
  const { tile, order, perPe, spread } = mapping;
  const pass = passSizes(mapping);
  const counts = {
    passCycles: 0,
    passes: 0,
    macs: 0,
    registerFile: 0,
    betweenPes: 0,
    bufferReads: 0,
    bufferWrites: 0,
    inputsFetched: 0,
    filtersFetched: 0,
    sumsFetched: 0,
    sumsStored: 0,
  };
  const words = (count: number) => Math.ceil(count / config.networkWordsPerCycle);
  const ahead = 2 * perPe.filters * perPe.channels <= config.registerFile.filterWords;
  const begun = new Set<string>();
  const buffered = { inputs: '', filters: '', sums: '' };
  let sumsInBuffer = 0;
  const storeSums = () => {
    counts.sumsStored += sumsInBuffer;
    counts.bufferReads += sumsInBuffer;
    sumsInBuffer = 0;
  };

  /** Brings what a tile needs and the buffer does not hold yet. */
  const bring = ({ images, filters, channels }: Record<Dimension, Range>) => {
    const inputs = `${images.from}/${channels.from}`;
    if (buffered.inputs !== inputs) {
      buffered.inputs = inputs;
      counts.inputsFetched += length(images) * length(channels);
      counts.bufferWrites += length(images) * length(channels);
    }
    const filterTile = `${filters.from}/${channels.from}`;
    if (buffered.filters !== filterTile) {
      buffered.filters = filterTile;
      counts.filtersFetched += length(filters) * length(channels);
      counts.bufferWrites += length(filters) * length(channels);
    }
    const sums = `${images.from}/${filters.from}`;
    if (buffered.sums !== sums) {
      storeSums();
      buffered.sums = sums;
      sumsInBuffer = length(images) * length(filters);
      if (begun.has(sums)) {
        counts.sumsFetched += sumsInBuffer;
        counts.bufferWrites += sumsInBuffer;
      }
      begun.add(sums);
    }
  };

  const runPass = (images: Range, filters: Range, channels: Range) => {
    const [m, n, k] = [length(images), length(filters), length(channels)];
    counts.bufferReads += m * k + n * k;
    counts.bufferWrites += m * n;
    if (channels.from > 0) counts.bufferReads += m * n;
    // One PE of the array takes the most work; each PE of a column adds to each sum.
    counts.betweenPes += m * k * Math.min(n, spread.filters);
    counts.betweenPes += n * k * Math.min(m, spread.images);
    counts.betweenPes += m * n * Math.min(k, spread.channels);
    let steps = 0;
    for (let a = 0; a < m; a += spread.images) {
      for (let b = 0; b < n; b += spread.filters) for (let c = 0; c < k; c += spread.channels) steps++;
    }
    for (let a = 0; a < m; a++) {
      for (let b = 0; b < n; b++) {
        for (let c = 0; c < k; c++) {
          counts.macs++;
          counts.registerFile += 4;
        }
      }
    }
    const streaming = Math.max(steps, words(m * k), words(m * n));
    counts.passCycles += ahead ? Math.max(streaming, words(n * k)) : streaming + words(n * k);
    counts.passes++;
  };

  const whole = (dimension: Dimension) => ranges({ from: 0, to: sizes[dimension] }, tile[dimension]);
  const at = {} as Record<Dimension, Range>;
  for (const outer of whole(order[0])) {
    at[order[0]] = outer;
    for (const middle of whole(order[1])) {
      at[order[1]] = middle;
      for (const inner of whole(order[2])) {
        at[order[2]] = inner;
        bring(at);
        for (const filters of ranges(at.filters, pass.filters)) {
          for (const channels of ranges(at.channels, pass.channels)) runPass(at.images, filters, channels);
        }
      }
    }
  }
  storeSums();
  return counts;
}

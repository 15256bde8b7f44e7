/**
 * The closed-form model of AccelTran's and TransCODE's simulator (`--fast`), exactly as published, quirks included:
 *
 * - Memory and compute steps never overlap: all cycles are added. Within the heads of a layer only memory is free.
 * - The inner dimension of a product is cut into tiles twice, along x and along y.
 * - A convolution tile multiplies y − kernel times per row: a negative number of times where the kernel is longer.
 * - A non-linearity takes as many cycles as the softmax or layer norm before it has tiles, however many lanes there are.
 * - The heads' next operation may start on one unit before their previous one is done on the other.
 * - Energy of sparsity and other modules grows with tiles, as if each tile kept all lanes of the machine busy, and only
 *   products inside heads have any. Loading the embeddings costs no energy.
 */
import { areaSquareMillimetres } from './area.js';
import type { ElectorConfig } from './config.js';
import {
  BLOCK_WORDS,
  BUFFER_BANDWIDTH,
  bufferAccessNanojoules,
  CLOCK_MEGAHERTZ,
  DATAFLOW,
  DMA,
  FIFO,
  laneCost,
  layerNormCost,
  type ModuleCost,
  memoryCost,
  POST_SPARSITY,
  PRE_SPARSITY,
  requireTechnology,
  STOCHASTIC_ROUNDING,
  softmaxCost,
  WORD_BITS,
} from './constants.js';
import type { ComputeOperation, Dims, Entry, MemoryOperation, PublishedOperations } from './published-operations.js';

/** nJ while busy and by leakage. Numbers of a pair: [dynamic, leakage]. */
export type EnergyPair = readonly [number, number];

export interface PublishedEnergy {
  /** nJ, as all others. */
  readonly buffer: number;
  readonly mainMemory: number;
  readonly macLanes: EnergyPair;
  readonly softmax: EnergyPair;
  readonly layerNorm: EnergyPair;
  /** Units before and behind the multipliers. */
  readonly sparsity: EnergyPair;
  /** FIFOs, DMA and dataflow units; in training stochastic rounding too. */
  readonly others: EnergyPair;
}

/** What a layer, or the loading of the embeddings, adds. */
export interface PublishedFastPart {
  /** −1: the embeddings. */
  readonly layer: number;
  readonly cycles: number;
  readonly energy: PublishedEnergy;
  readonly counts: PublishedCounts;
}

export interface PublishedCounts {
  /** Cycles in which a kind of unit is busy, all its units together. */
  readonly macCycles: number;
  readonly softmaxCycles: number;
  readonly layerNormCycles: number;
  /** Tiles of products and convolutions. */
  readonly macTiles: number;
  readonly loadedWords: number;
  readonly storedWords: number;
}

export interface PublishedFastResult {
  readonly areaSquareMillimetres: number;
  readonly cycles: number;
  readonly energy: PublishedEnergy;
  readonly parts: readonly PublishedFastPart[];
}

export interface PublishedFastOptions {
  /** Counts the tiles of a product's inner dimension once, as it would be right. */
  readonly innerTilesOnce?: boolean;
}

/** Bits that the embeddings need and that the weight buffer has. */
export interface EmbeddingDemand {
  readonly demandBits: number;
  readonly boundBits: number;
}

const BITS_PER_MEGABYTE = 8 * 2 ** 20;

/** The embeddings lie in the weight buffer from beginning to end; larger ones cannot run. */
export function embeddingDemand(config: ElectorConfig, { memory }: PublishedOperations): EmbeddingDemand {
  const [embeddings] = memory;
  const words = embeddings && 'dims' in embeddings ? size(embeddings.dims) : 0;
  return {
    demandBits: words * WORD_BITS * (1 - config.sparsity.weight),
    boundBits: config.buffers.weightMegabytes * BITS_PER_MEGABYTE,
  };
}

/**
 * Cycles, energy and area of a model whose embeddings fit.
 * @param operations of the model with the configuration's batch and phase
 * @throws TANDEM_CONFIG_INVALID for sizes or a technology without published costs
 */
export function publishedFast(
  config: ElectorConfig,
  operations: PublishedOperations,
  { innerTilesOnce = false }: PublishedFastOptions = {},
): PublishedFastResult {
  requireTechnology(config);
  const run = new PublishedRun(config, innerTilesOnce);
  run.loadEmbeddings(embeddingDemand(config, operations).demandBits);
  const { memory, compute } = operations;
  for (let step = 0; step < Math.max(memory.length - 1, compute.length); step++) {
    // The first memory entry is the embeddings.
    const moved = memory[step + 1];
    const computed = compute[step];
    if (moved) run.move(moved);
    if (computed) run.compute(computed);
  }
  const parts = run.parts;
  return {
    areaSquareMillimetres: areaSquareMillimetres(config),
    cycles: parts.reduce((cycles, part) => cycles + part.cycles, 0),
    energy: addEnergies(parts.map(({ energy }) => energy)),
    parts,
  };
}

function addEnergies(all: readonly PublishedEnergy[]): PublishedEnergy {
  const total = newEnergy();
  for (const one of all) {
    total.buffer += one.buffer;
    total.mainMemory += one.mainMemory;
    for (const module of MODULES) {
      total[module][0] += one[module][0];
      total[module][1] += one[module][1];
    }
  }
  return total;
}

const MODULES = ['macLanes', 'softmax', 'layerNorm', 'sparsity', 'others'] as const;

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] extends EnergyPair ? [number, number] : T[Key] };

interface Tally {
  readonly layer: number;
  cycles: number;
  readonly energy: Mutable<PublishedEnergy>;
  readonly counts: Mutable<PublishedCounts>;
}

const newEnergy = (): Mutable<PublishedEnergy> => ({
  buffer: 0,
  mainMemory: 0,
  macLanes: [0, 0],
  softmax: [0, 0],
  layerNorm: [0, 0],
  sparsity: [0, 0],
  others: [0, 0],
});

const newTally = (layer: number): Tally => ({
  layer,
  cycles: 0,
  energy: newEnergy(),
  counts: { macCycles: 0, softmaxCycles: 0, layerNormCycles: 0, macTiles: 0, loadedWords: 0, storedWords: 0 },
});

const size = ([batch, rows, columns]: Dims): number => batch * rows * columns;

/** nJ per cycle of `count` units side by side. */
const nanojoules = (cost: ModuleCost, count: number): EnergyPair => [
  (cost.dynamicMilliwatts.value * count) / CLOCK_MEGAHERTZ,
  (cost.leakageMilliwatts.value * count) / CLOCK_MEGAHERTZ,
];

const addPairs = (pairs: readonly EnergyPair[]): EnergyPair => [
  pairs.reduce((sum, [dynamic]) => sum + dynamic, 0),
  pairs.reduce((sum, [, leakage]) => sum + leakage, 0),
];

function spend(target: [number, number], [dynamic, leakage]: EnergyPair, times: number): void {
  target[0] += dynamic * times;
  target[1] += leakage * times;
}

/** A unit, all instances together: cycles until it is free. */
interface Unit {
  busy: boolean;
  remaining: number;
}

const cyclesLeft = ({ busy, remaining }: Unit): number => (busy ? remaining : Number.POSITIVE_INFINITY);

function release(unit: Unit, step: number): void {
  if (!unit.busy) return;
  unit.remaining -= step;
  unit.busy = unit.remaining > 0;
}

class PublishedRun {
  readonly #tallies = new Map<number, Tally>();
  #tally: Tally = newTally(-1);
  /** Tiles of the latest softmax or layer norm. */
  #unaryTiles = 0;

  readonly #lanePower: EnergyPair;
  readonly #softmaxPower: EnergyPair;
  readonly #layerNormPower: EnergyPair;
  readonly #sparsityPower: EnergyPair;
  readonly #othersPower: EnergyPair;
  readonly #multipliers: number;
  readonly #memoryBits: number;
  readonly #loadNanojoules: number;
  readonly #storeNanojoules: Readonly<Record<MemoryOperation['buffer'], number>>;

  constructor(
    readonly config: ElectorConfig,
    readonly innerTilesOnce: boolean,
  ) {
    const { pes, lanesPerPe, macsPerLane, softmaxPerPe, phase, memory, sparsity } = config;
    const lanes = pes * lanesPerPe;
    const { accessNanojoules, publishedBitsPerCycle } = memoryCost(memory);
    this.#multipliers = lanes * macsPerLane;
    this.#lanePower = nanojoules(laneCost(config), lanes);
    this.#softmaxPower = nanojoules(softmaxCost(config), pes * softmaxPerPe);
    this.#layerNormPower = nanojoules(layerNormCost(config), pes);
    this.#sparsityPower = addPairs([nanojoules(PRE_SPARSITY, lanes), nanojoules(POST_SPARSITY, lanes)]);
    const others = phase === 'training' ? [DMA, FIFO, DATAFLOW, STOCHASTIC_ROUNDING] : [DMA, FIFO, DATAFLOW];
    this.#othersPower = addPairs(others.map((cost) => nanojoules(cost, pes)));
    this.#memoryBits = publishedBitsPerCycle.value;
    this.#loadNanojoules = (accessNanojoules.value * (1 - sparsity.weight)) / BLOCK_WORDS;
    this.#storeNanojoules = {
      activation: bufferAccessNanojoules(config, 'activation') / BLOCK_WORDS,
      weight: bufferAccessNanojoules(config, 'weight') / BLOCK_WORDS,
    };
    this.#tallies.set(-1, this.#tally);
  }

  get parts(): readonly PublishedFastPart[] {
    return [...this.#tallies.values()];
  }

  loadEmbeddings(bits: number): void {
    this.#tally.cycles += Math.ceil(bits / this.#memoryBits);
  }

  move(entry: Entry<MemoryOperation>): void {
    this.#enter(entry);
    if ('heads' in entry) {
      for (const head of entry.heads) {
        for (const operation of head) this.#transfer(operation);
      }
      return;
    }
    this.#transfer(entry);
    const { activation, weight } = this.config.sparsity;
    const bits = size(entry.dims) * WORD_BITS * (1 - (entry.buffer === 'activation' ? activation : weight));
    const bandwidth = entry.kind === 'store' ? BUFFER_BANDWIDTH.publishedBitsPerCycle.value : this.#memoryBits;
    this.#tally.cycles += Math.ceil(bits / bandwidth);
  }

  /** Energy of a transfer, which is all that heads pay. */
  #transfer({ kind, dims, buffer }: MemoryOperation): void {
    const words = size(dims);
    const { energy, counts } = this.#tally;
    if (kind === 'load') {
      energy.mainMemory += this.#loadNanojoules * words;
      counts.loadedWords += words;
    } else {
      energy.buffer += this.#storeNanojoules[buffer] * words;
      counts.storedWords += words;
    }
  }

  compute(entry: Entry<ComputeOperation>): void {
    this.#enter(entry);
    if ('heads' in entry) this.#tally.cycles += this.#sideBySide(entry.heads);
    else this.#tally.cycles += this.#start(entry, false);
  }

  /** Cycles of heads that share the lanes as one unit and the softmax modules as another. */
  #sideBySide(heads: readonly (readonly ComputeOperation[])[]): number {
    const next = heads.map(() => 0);
    const lanes: Unit = { busy: false, remaining: 0 };
    const softmax: Unit = { busy: false, remaining: 0 };
    let left = heads.reduce((sum, head) => sum + head.length, 0);
    let cycles = 0;
    while (left > 0 || lanes.busy || softmax.busy) {
      for (const [index, head] of heads.entries()) {
        const operation = head[next[index]!];
        if (!operation) continue;
        const unit = operation.kind === 'softmax' ? softmax : lanes;
        if (unit.busy) continue;
        unit.busy = true;
        unit.remaining = this.#start(operation, true);
        next[index]!++;
        left--;
      }
      // Until the first busy unit is free again; back in time for a convolution with less than no work.
      const step = Math.min(cyclesLeft(lanes), cyclesLeft(softmax));
      release(lanes, step);
      release(softmax, step);
      cycles += step;
    }
    return cycles;
  }

  /** Spends the energy of an operation. @returns its cycles */
  #start(operation: ComputeOperation, inHead: boolean): number {
    const { energy, counts } = this.#tally;
    switch (operation.kind) {
      case 'matmul':
      case 'conv': {
        const tiles = this.#tiles(operation);
        const cycles = this.#laneCycles(operation, tiles);
        counts.macTiles += tiles;
        counts.macCycles += cycles;
        spend(energy.macLanes, this.#lanePower, cycles);
        if (inHead) {
          spend(energy.sparsity, this.#sparsityPower, tiles);
          spend(energy.others, this.#othersPower, tiles);
        }
        return cycles;
      }
      case 'non-linearity':
        counts.macCycles += this.#unaryTiles;
        spend(energy.macLanes, this.#lanePower, this.#unaryTiles);
        return this.#unaryTiles;
      case 'softmax': {
        const cycles = this.#unaryCycles(operation, this.config.pes * this.config.softmaxPerPe);
        counts.softmaxCycles += cycles;
        spend(energy.softmax, this.#softmaxPower, cycles);
        return cycles;
      }
      case 'layer-norm': {
        const cycles = this.#unaryCycles(operation, this.config.pes);
        counts.layerNormCycles += cycles;
        spend(energy.layerNorm, this.#layerNormPower, cycles);
        return cycles;
      }
    }
  }

  #tiles({ left: [batch, rows, columns], right }: ComputeOperation): number {
    const { b, x, y } = this.config.tile;
    const tiles = Math.ceil(batch / b) * Math.ceil(rows / x) * Math.ceil(columns / y);
    if (!right) return tiles;
    const innerAgain = this.innerTilesOnce ? 1 : Math.ceil(columns / x);
    return tiles * innerAgain * Math.ceil(right[2] / y);
  }

  #laneCycles({ kernel, backward }: ComputeOperation, tiles: number): number {
    const { tile, sparsity } = this.config;
    const { b, x, y } = tile;
    const multiplications = kernel === undefined ? b * x * y * y : b * x * (y - kernel);
    const kept = 1 - (backward ? sparsity.gradient : sparsity.activation);
    // In this order: the quotient is rounded before the ceiling sees it.
    return Math.ceil(((tiles * multiplications) / this.#multipliers) * kept);
  }

  #unaryCycles(operation: ComputeOperation, units: number): number {
    const { b, x, y } = this.config.tile;
    this.#unaryTiles = this.#tiles(operation);
    return Math.ceil((this.#unaryTiles * b * (x + y) * (1 - this.config.sparsity.activation)) / units);
  }

  /** What follows belongs to the entry's layer. */
  #enter(entry: Entry<{ readonly name: string }>): void {
    const first = 'heads' in entry ? entry.heads[0]?.[0] : entry;
    // Heads without any work leave no name.
    if (!first) return;
    const layer = Number(/^layer(\d+)_/.exec(first.name)?.[1] ?? -1);
    if (layer === this.#tally.layer) return;
    this.#tally = this.#tallies.get(layer) ?? newTally(layer);
    this.#tallies.set(layer, this.#tally);
  }
}

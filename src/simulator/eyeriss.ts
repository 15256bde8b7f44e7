/**
 * Eyeriss (Chen, Krishna, Emer and Sze, JSSC 2017): a dense array of PEs with the row-stationary dataflow, as a baseline
 * for attention. Each matrix product gets the best of all row-stationary mappings (eyeriss-search.ts), so that the baseline
 * is as good as its dataflow allows. Its costs are closed forms that hold for each mapping, so there is one fidelity.
 */

import { TandemError } from '../errors.js';
import { isDecoding } from '../trace/steps.js';
import type { GemmLayer } from '../workload/types.js';
import { ConservationLaws } from './conservation.js';
import { type PartActivity, playRecords, resultOf, sumActions, sumCounts } from './engine.js';
import { dramPerMac, eyerissActions, eyerissComposition } from './eyeriss-components.js';
import { type EyerissConfig, eyerissSchema } from './eyeriss-config.js';
import { firstLoadCycles, tileWords } from './eyeriss-mapping.js';
import { eyerissMemory, isHierarchy } from './eyeriss-memory.js';
import { bestMapping, type Found } from './eyeriss-search.js';
import { eyerissSizing } from './eyeriss-sizing.js';
import { DenseAttention } from './eyeriss-work.js';
import { withMemory } from './memory/settings.js';
import type { Infeasible, Machine, SimulationOptions, SimulationResult, Workload } from './types.js';

const NAME = 'eyeriss';

export const eyeriss: Machine<EyerissConfig> = {
  name: NAME,
  description: 'Eyeriss (JSSC 2017): dense row-stationary array, the best mapping searched for each matrix product',
  schema: eyerissSchema,
  accepts: ['gemms', 'trace'],
  presets: ['eyeriss-65nm', 'eyeriss-40nm'],
  decodes: true,
  sizing: eyerissSizing,
  async simulate(config, workload, options) {
    const run = new Run(config, workload.kind === 'trace' && isDecoding(workload.header));
    await playWorkload(run, workload, options);
    return run.misfit
      ? { feasible: false, name: options.name, machine: NAME, ...run.misfit }
      : run.result(options.name, workload.kind === 'trace');
  },
};

async function playWorkload(run: Run, workload: Workload, options: SimulationOptions): Promise<void> {
  const { signal, onProgress } = options;
  if (workload.kind === 'gemms') {
    for (const [index, gemm] of workload.layers.entries()) {
      signal?.throwIfAborted();
      run.play(`${index}`, gemm.name, gemm, 1);
      onProgress?.(index + 1);
    }
  } else if (workload.kind === 'trace') {
    const attention = new DenseAttention(workload.header, run.config.headWidth);
    await playRecords(workload.records, options, (record) => attention.add(record));
    for (const { layer, products } of attention.finish()) {
      signal?.throwIfAborted();
      for (const { gemm, times } of products) run.play(`${layer}`, `layer ${layer}`, gemm, times);
    }
  } else {
    throw new TandemError('TANDEM_CONFIG_INVALID', 'Eyeriss plays traces and lists of matrix products only.', {
      remedy: 'List the products of the model in a .csv file: Layer, M, N, K.',
    });
  }
}

class Run {
  readonly #found = new Map<string, Found | undefined>();
  readonly #parts = new Map<string, PartActivity>();
  readonly #weights: { readonly dram: number };
  misfit: Pick<Infeasible, 'resource' | 'demand' | 'bound' | 'unit' | 'levers'> | undefined;

  /** @param decoding whether one row of queries is multiplied at a time */
  constructor(
    readonly config: EyerissConfig,
    readonly decoding: boolean,
  ) {
    this.#weights = { dram: dramPerMac(config) };
  }

  /** Plays equal products one after the other; `key` tells parts apart. */
  play(key: string, layer: string, gemm: GemmLayer, times: number): void {
    const found = this.#best(gemm);
    if (!found) {
      const demand = (tileWords({ images: 1, filters: 1, channels: 1 }) * this.config.operandBits) / 8;
      const bound = this.config.bufferBytes;
      this.misfit ??= { resource: 'global buffer', demand, bound, unit: 'bytes', levers: [`bufferBytes ≥ ${demand}`] };
      return;
    }
    const { costs } = found;
    const operands = gemm.m * gemm.k + gemm.k * gemm.n;
    const one: Record<string, number> = {
      ...costs,
      products: 1,
      operands,
      operandsFetched: costs.inputsFetched + costs.filtersFetched,
      results: gemm.m * gemm.n,
      denseMacs: gemm.m * gemm.n * gemm.k,
      dramWords: costs.inputsFetched + costs.filtersFetched + costs.sumsFetched + costs.sumsStored,
    };
    delete one.cycles;
    const counts = scaled(one, times);
    check(new ConservationLaws(NAME), counts, costs.cycles * times * this.#pes);
    const before = this.#parts.get(key);
    const actions = Object.entries(eyerissActions(this.config, costs)).map(([component, use]) => [
      component,
      scaled(use, times),
    ]);
    const all = sumCounts([before?.counts ?? {}, counts]);
    // Nothing before the first product of all hides the loading of its filters.
    const loading = this.#parts.size === 0 ? firstLoadCycles(this.config, found.mapping, sizesOf(gemm, found)) : 0;
    const cycles = (before?.cycles ?? 0) + loading + times * costs.cycles;
    this.#parts.set(key, {
      layer,
      cycles,
      utilisation: all.macs! / (cycles * this.#pes),
      counts: all,
      actions: sumActions([before?.actions ?? {}, Object.fromEntries(actions)]),
    });
  }

  get #pes(): number {
    return this.config.array.rows * this.config.array.columns;
  }

  #best(gemm: GemmLayer): Found | undefined {
    const key = [gemm.m, gemm.n, gemm.k].join();
    if (!this.#found.has(key)) this.#found.set(key, bestMapping(this.config, gemm, this.#weights));
    return this.#found.get(key);
  }

  result(name: string, trace: boolean): SimulationResult {
    const parts = [...this.#parts.values()];
    const cycles = parts.reduce((sum, part) => sum + part.cycles, 0);
    const counts = sumCounts(parts.map((part) => part.counts));
    const laws = new ConservationLaws(NAME);
    if (parts.length > 0) check(laws, counts, cycles * this.#pes);
    const share = (busy: number | undefined) => (cycles === 0 ? 0 : busy! / cycles);
    const result = resultOf({
      name,
      machine: NAME,
      configuration: this.config,
      fidelity: 'cycle',
      cycles,
      composition: eyerissComposition(this.config),
      parts,
      utilisation: { PEs: share(counts.macs) / this.#pes, memory: share(counts.memoryCycles) },
      histograms: {},
      timeline: [],
      laws,
      remarks: this.#remarks(trace),
    });
    return withMemory(result, eyerissMemory(this.config));
  }

  #remarks(trace: boolean): string[] {
    const remarks = [
      `Each matrix product runs with the row-stationary mapping of least ${OBJECTIVES[this.config.objective]}; products run one after the other, and filters of the next one are loaded during the last.`,
      'Dense: nothing is skipped. Filling and draining the array’s pipeline, softmax and other element-wise work are not modelled.',
      'Area is that of MACs and memory cells: without control, networks and pads, a good part of the 12.25 mm² as built.',
    ];
    if (trace)
      remarks.push(
        this.decoding
          ? 'Decoding step by step: the attention of each step’s own token to all that it sees, removed ones included.'
          : 'Attention of all tokens of each sequence, removed ones included; a causal mask saves nothing.',
      );
    if (!isHierarchy(this.config)) {
      remarks.push('Off-chip memory costs what its standard does, instead of 200 MACs a word.');
    }
    for (const [sizes, found] of [...this.#found].slice(0, MAPPINGS_SHOWN)) {
      if (found) remarks.push(`Mapping of M, N, K = ${sizes}: ${describe(found)}.`);
    }
    return remarks;
  }
}

const MAPPINGS_SHOWN = 2;

const OBJECTIVES: Readonly<Record<EyerissConfig['objective'], string>> = {
  'energy-delay': 'energy × cycles',
  cycles: 'cycles',
  energy: 'energy',
};

function describe({ mapping }: Found): string {
  const { perPe, spread, tile, filterOperand, order } = mapping;
  return [
    `${filterOperand.toUpperCase()} stays in the PEs, ${perPe.filters} filters × ${perPe.channels} channels in each`,
    `${spread.images} images × ${spread.filters} filters × ${spread.channels} channels over the array`,
    `tiles of ${tile.images} × ${tile.filters} × ${tile.channels}, ${order.join(' around ')}`,
  ].join('; ');
}

const sizesOf = ({ m, n, k }: GemmLayer, { mapping }: Found) =>
  mapping.filterOperand === 'b' ? { images: m, filters: n, channels: k } : { images: n, filters: m, channels: k };

const scaled = (counts: Readonly<Record<string, number>>, times: number): Record<string, number> =>
  Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, count * times]));

function check(laws: ConservationLaws, counts: Readonly<Record<string, number>>, peCycles: number): void {
  laws.equal('MACs = M · N · K of all products', counts.macs!, counts.denseMacs!);
  laws.atMost('every operand is fetched at least once', counts.operands!, counts.operandsFetched!);
  laws.equal('sums stored = results + sums fetched again', counts.sumsStored!, counts.results! + counts.sumsFetched!);
  laws.atMost('what is fetched is read: operands', counts.operandsFetched!, counts.bufferReads!);
  laws.atMost('busy PE cycles ≤ PE cycles', counts.macs!, peCycles);
  laws.atMost('the register files serve every MAC', 4 * counts.macs!, counts.registerFile!);
}

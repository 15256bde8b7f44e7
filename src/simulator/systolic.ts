/**
 * Dense systolic array with output-, weight- or input-stationary dataflow: SCALE-Sim's machine, with energy and area.
 * Its cycles and accesses are closed forms that hold for each size, so there is one fidelity, and it is exact.
 */
import { TandemError } from '../errors.js';
import * as components from '../hardware/components/index.js';
import { type ActionCounts, Composition } from '../hardware/compose.js';
import { attentionGemms } from '../workload/attention.js';
import type { GemmLayer } from '../workload/types.js';
import { ConservationLaws } from './conservation.js';
import { type PartActivity, playRecords, resultOf, sumActions, sumCounts } from './engine.js';
import { withMemory } from './memory/settings.js';
import { type SystolicConfig, systolicSchema } from './systolic-config.js';
import { type SystolicCounts, systolicCounts } from './systolic-counts.js';
import { type OffChipTraffic, offChipTraffic, systolicMemory } from './systolic-memory.js';
import type { Machine, SimulationOptions, SimulationResult, TimelineLane, Workload } from './types.js';

export const systolic: Machine<SystolicConfig> = {
  name: 'systolic',
  description: 'Dense systolic array (output-, weight- or input-stationary), cycle for cycle as SCALE-Sim counts',
  schema: systolicSchema,
  accepts: ['gemms', 'trace'],
  presets: ['systolic-32x32-ws'],
  async simulate(config, workload, options) {
    return finish(config, await playWorkload(config, workload, options), options.name);
  },
};

/** Parts of a simulation, and the first layer for the timeline. */
interface Played {
  readonly parts: readonly PartActivity[];
  readonly first: GemmLayer | undefined;
}

async function playWorkload(config: SystolicConfig, workload: Workload, options: SimulationOptions): Promise<Played> {
  const byPart = new Map<string, PartActivity>();
  let first: GemmLayer | undefined;
  const run = (key: string, part: Pick<PartActivity, 'layer' | 'head'>, gemms: readonly GemmLayer[]) => {
    for (const gemm of gemms) {
      first ??= gemm;
      const layer = simulateLayer(config, gemm);
      const done = { ...part, ...activity(config, gemm, layer) };
      check(new ConservationLaws(systolic.name), done.counts);
      byPart.set(key, merge(byPart.get(key), done));
    }
  };
  if (workload.kind === 'gemms') {
    for (const [index, gemm] of workload.layers.entries()) {
      options.signal?.throwIfAborted();
      run(`${index}`, { layer: gemm.name }, [gemm]);
      options.onProgress?.(index + 1);
    }
  } else if (workload.kind === 'trace') {
    let heads = 0;
    await playRecords(workload.records, options, (record) => {
      if (record.kind !== 'attention-head') return;
      heads++;
      const layer = `layer ${record.layer}`;
      run(`${record.layer}/${record.head}`, { layer, head: record.head }, attentionGemms(record, layer));
    });
    if (heads === 0) {
      throw new TandemError('TANDEM_TRACE_INCONSISTENT', 'The trace holds no attention heads.', {
        remedy:
          'Record it with a technique that prunes attention scores, or play it on a machine for its kind of trace.',
      });
    }
  } else {
    throw new TandemError('TANDEM_CONFIG_INVALID', 'A systolic array plays traces and lists of matrix products only.', {
      remedy: 'List the products of the model in a .csv file: Layer, M, N, K.',
    });
  }
  return { parts: [...byPart.values()], first };
}

interface LayerRun {
  readonly counts: SystolicCounts;
  readonly traffic: OffChipTraffic;
}

/** Everything that a matrix product causes: the fast path of a search, without energy. */
export function simulateLayer(config: SystolicConfig, gemm: GemmLayer): LayerRun {
  const counts = systolicCounts(config.array, config.dataflow, config.cycleConvention, gemm);
  return { counts, traffic: offChipTraffic(config, gemm, counts) };
}

/** Laws of one layer, and of all layers together. */
function check(laws: ConservationLaws, counts: Readonly<Record<string, number>>): void {
  const fetched = counts.operandsFetched!;
  laws.equal(
    'sums written = results + partial sums read back',
    counts.ofmapSramWrites!,
    counts.results! + counts.ofmapSramReads!,
  );
  laws.atMost('every input and weight is fetched at least once', counts.operands!, fetched);
  laws.atMost('nothing is fetched that is not read', fetched, counts.ifmapSramReads! + counts.filterSramReads!);
  laws.atMost('busy PE cycles ≤ PE cycles', counts.macs!, counts.peCycles!);
}

/** The array's components. SRAM words are one array edge wide: that many elements are read in a cycle. */
export function systolicComposition(config: SystolicConfig): Composition {
  const { technology, array, operandBits, accumulatorBits, sram } = config;
  const elements = array.rows * array.columns;
  const edges = sramEdges(config);
  const buffer = (kilobytes: number, edge: number, bits: number) =>
    components.sram.cost({ bytes: kilobytes * 1024, wordBits: edge * bits }, technology);
  return new Composition(technology)
    .add('multipliers', components.multiplier.cost({ aBits: operandBits, bBits: operandBits }, technology), elements)
    .add('adders', components.adder.cost({ bits: accumulatorBits }, technology), elements)
    .add('sum registers', components.register.cost({ bits: accumulatorBits }, technology), elements)
    .add('operand registers', components.register.cost({ bits: operandBits }, technology), 2 * elements)
    .add('ifmap SRAM', buffer(sram.ifmapKilobytes, edges.ifmap, operandBits))
    .add('filter SRAM', buffer(sram.filterKilobytes, edges.filter, operandBits))
    .add('ofmap SRAM', buffer(sram.ofmapKilobytes, edges.ofmap, accumulatorBits))
    .add('DRAM', systolicMemory(config).cost);
}

/** Elements that a word of each SRAM holds: the length of the array's edge that it feeds or drains. */
function sramEdges({ dataflow, array: { rows, columns } }: SystolicConfig) {
  return dataflow === 'is'
    ? { ifmap: columns, filter: rows, ofmap: columns }
    : { ifmap: rows, filter: columns, ofmap: columns };
}

function actionsOf(config: SystolicConfig, { m, n }: GemmLayer, { counts, traffic }: LayerRun): ActionCounts {
  const edges = sramEdges(config);
  return {
    multipliers: { multiply: counts.macs },
    adders: { add: counts.macs },
    'sum registers': { write: counts.sumWrites },
    'operand registers': { write: counts.operandHops },
    'ifmap SRAM': { read: counts.ifmapReads / edges.ifmap, write: traffic.ifmapFetches / edges.ifmap },
    'filter SRAM': { read: counts.filterReads / edges.filter, write: traffic.filterFetches / edges.filter },
    // Results are read once more to leave the chip; spilled sums pass through likewise.
    'ofmap SRAM': {
      read: (counts.ofmapReads + m * n + traffic.spills) / edges.ofmap,
      write: (counts.ofmapWrites + traffic.spills) / edges.ofmap,
    },
    DRAM: systolicMemory(config).actions(traffic),
  };
}

function activity(config: SystolicConfig, gemm: GemmLayer, run: LayerRun): Omit<PartActivity, 'layer' | 'head'> {
  const { counts, traffic } = run;
  const { m, n, k } = gemm;
  return {
    cycles: counts.cycles,
    utilisation: counts.utilisation,
    counts: {
      macs: counts.macs,
      peCycles: counts.foldCycles * counts.folds * config.array.rows * config.array.columns,
      operands: m * k + k * n,
      operandsFetched: traffic.ifmapFetches + traffic.filterFetches,
      results: m * n,
      folds: counts.folds,
      ifmapSramReads: counts.ifmapReads,
      filterSramReads: counts.filterReads,
      ofmapSramReads: counts.ofmapReads,
      ofmapSramWrites: counts.ofmapWrites,
      dramReadBits: traffic.readBits,
      dramWrittenBits: traffic.writtenBits,
      memoryCycles: traffic.cycles,
    },
    actions: actionsOf(config, gemm, run),
  };
}

/** Adds what a further product of the same part did. */
function merge(one: PartActivity | undefined, other: PartActivity): PartActivity {
  if (!one) return other;
  const counts = sumCounts([one.counts, other.counts]);
  const cycles = one.cycles + other.cycles;
  return {
    ...other,
    cycles,
    counts,
    utilisation: cycles === 0 ? 0 : (one.utilisation * one.cycles + other.utilisation * other.cycles) / cycles,
    actions: sumActions([one.actions, other.actions]),
  };
}

function finish(config: SystolicConfig, { parts, first }: Played, name: string): SimulationResult {
  const cycles = parts.reduce((sum, part) => sum + part.cycles, 0);
  const totals = sumCounts(parts.map(({ counts }) => counts));
  const laws = new ConservationLaws(systolic.name);
  if (first) check(laws, totals);
  const elements = config.array.rows * config.array.columns;
  const result = resultOf({
    name,
    machine: systolic.name,
    configuration: config,
    fidelity: 'cycle',
    cycles,
    composition: systolicComposition(config),
    parts,
    utilisation: { array: cycles === 0 ? 0 : totals.macs! / (cycles * elements) },
    histograms: {},
    timeline: first ? timeline(config, first) : [],
    laws,
    remarks: remarks(totals.memoryCycles ?? 0, cycles),
  });
  return withMemory(result, systolicMemory(config));
}

const LONGEST_TIMELINE = 64;

/** The first folds of a layer. */
function timeline({ array, dataflow }: SystolicConfig, gemm: GemmLayer): TimelineLane[] {
  const { folds, foldCycles } = systolicCounts(array, dataflow, 'complete', gemm);
  const loading = dataflow === 'os' ? 0 : array.rows;
  const shown = Array.from({ length: Math.min(folds, LONGEST_TIMELINE) }, (_, fold) => fold);
  const interval = (fold: number, start: number, end: number) => ({
    start: fold * foldCycles + start,
    end: fold * foldCycles + end,
    label: `${gemm.name}, fold ${fold + 1} of ${folds}`,
  });
  const streaming = { lane: 'streaming', busy: shown.map((fold) => interval(fold, loading, foldCycles)) };
  if (loading === 0) return [streaming];
  return [{ lane: 'loading', busy: shown.map((fold) => interval(fold, 0, loading)) }, streaming];
}

function remarks(memoryCycles: number, cycles: number): string[] {
  const remarks = [
    'Dense: nothing is skipped. Cycles are the array’s alone; stalls for off-chip memory are not in them.',
    'Layers run one after the other; softmax and other element-wise work is not modelled.',
  ];
  if (memoryCycles > cycles) {
    remarks.push(
      `Off-chip traffic takes ${memoryCycles} cycles, more than the array’s ${cycles}: memory bounds this run.`,
    );
  }
  return remarks;
}

/**
 * LeOPArd (Li et al., ISCA 2022): a tile of bit-serial dot-product units that abandon a score as soon as its upper bound
 * falls below the learned threshold, a FIFO of survivors, and a softmax and value unit behind it. Played on the actual
 * Q and K of a trace. The same machine with a bit-parallel front end is the baseline.
 */
import { TandemError } from '../errors.js';
import type { AttentionHeadRecord } from '../trace/types.js';
import { playRecords } from './engine.js';
import {
  denseStops,
  estimateHead,
  headOutcome,
  type Mapping,
  type Misfit,
  mapHead,
  playHead,
  type Timing,
} from './leopard-activity.js';
import { type LeopardConfig, leopardSchema } from './leopard-config.js';
import { checkSurvivors, denseProfile, type HeadProfile, profileOf } from './leopard-profile.js';
import { type HeadStops, headStops } from './leopard-stops.js';
import { LeopardTotals } from './leopard-totals.js';
import type { Infeasible, Machine, SimulationOptions, SimulationResult, Workload } from './types.js';

export const leopard: Machine<LeopardConfig> = {
  name: 'leopard',
  description: 'LeOPArd (ISCA 2022): bit-serial attention scores that stop early against a learned threshold.',
  schema: leopardSchema,
  accepts: ['trace'],
  presets: ['leopard-ae', 'leopard-hp', 'leopard-baseline'],
  simulate: async (config, workload, { name, ...options }) =>
    (await simulateMany([{ name, config }], workload, options))[0]!,
  simulateMany,
};

/**
 * Stops are found once per record and number of bits per cycle, and shared by all configurations.
 * @throws TANDEM_TRACE_INCONSISTENT when the recorded survivors are not those that Q, K and threshold imply.
 */
async function simulateMany(
  configs: readonly { readonly name: string; readonly config: LeopardConfig }[],
  workload: Workload,
  options: Omit<SimulationOptions, 'name'>,
): Promise<(SimulationResult | Infeasible)[]> {
  if (workload.kind !== 'trace') {
    throw new TandemError('TANDEM_CONFIG_INVALID', 'A LeOPArd tile plays traces of attention heads only.', {
      remedy: 'Give it a trace that was recorded with the technique leopard.',
    });
  }
  const fidelity = options.fidelity ?? 'cycle';
  const tiles = configs.map(({ name, config }) => new TileRun(name, config, fidelity));
  let heads = 0;
  await playRecords(workload.records, options, (record) => {
    if (record.kind !== 'attention-head') return;
    const shared = new SharedStops(record);
    for (const tile of tiles) tile.play(record, shared, heads);
    heads++;
  });
  if (heads === 0) {
    throw new TandemError('TANDEM_TRACE_INCONSISTENT', 'The trace holds no attention heads.', {
      remedy: 'Record it with a technique that prunes attention scores, such as leopard.',
    });
  }
  return tiles.map((tile) => tile.result());
}

/** What configurations with the same operand format have in common for one record. */
class SharedStops {
  readonly #stops = new Map<number, { stops: HeadStops; profile: HeadProfile }>();
  readonly #checked = new Set<string>();

  constructor(readonly record: AttentionHeadRecord) {}

  of(bitsPerCycle: number): { stops: HeadStops; profile: HeadProfile } {
    let found = this.#stops.get(bitsPerCycle);
    if (found === undefined) {
      const stops = headStops(this.record, bitsPerCycle);
      found = { stops, profile: profileOf(stops) };
      this.#stops.set(bitsPerCycle, found);
    }
    return found;
  }

  check(bitsPerCycle: number, emptyRow: LeopardConfig['emptyRow']): void {
    // Survivors do not depend on the bits per cycle.
    if (this.#checked.has(emptyRow)) return;
    this.#checked.add(emptyRow);
    checkSurvivors(this.record, this.of(bitsPerCycle).stops, emptyRow);
  }
}

/** Of the rows of a head, fast fidelity looks at one in so many; of the heads, it replays one in so many to measure its error. */
const FAST_ROWS = 4;
const FAST_REPLAYS = 17;

interface Played {
  readonly profile: HeadProfile;
  readonly timing: Timing;
}

/** One configuration's way through the trace. */
class TileRun {
  readonly #totals: LeopardTotals;
  readonly #serial: boolean;
  readonly #dense = new Map<string, Played>();
  #misfit: Misfit | undefined;

  constructor(
    readonly name: string,
    readonly config: LeopardConfig,
    readonly fidelity: 'cycle' | 'fast',
  ) {
    this.#totals = new LeopardTotals(name, config, fidelity);
    this.#serial = config.frontEnd.kind === 'bit-serial';
  }

  play(record: AttentionHeadRecord, shared: SharedStops, index: number): void {
    if (this.#misfit !== undefined) return;
    const mapping = mapHead(this.config, record);
    if ('resource' in mapping) {
      this.#misfit = mapping;
      return;
    }
    if (this.fidelity === 'cycle') {
      const { profile, timing } = this.#exact(record, mapping, shared);
      this.#totals.add(record, mapping, profile, headOutcome(this.config, mapping, record, profile, timing));
      if (index === 0) this.#totals.showTimeline(record, mapping, this.#stops(record, shared));
      return;
    }
    const profile = this.#serial
      ? sampledProfile(record, this.config.frontEnd.bitsPerCycle)
      : denseProfile(record, record.bits);
    const estimate = headOutcome(this.config, mapping, record, profile, estimateHead(this.config, mapping, profile));
    this.#totals.add(record, mapping, profile, estimate);
    if (index % FAST_REPLAYS === 0) {
      const exact = this.#exact(record, mapping, shared);
      const { cycles } = headOutcome(this.config, mapping, record, exact.profile, exact.timing);
      this.#totals.replayed.add(estimate.cycles, cycles);
    }
  }

  #stops(record: AttentionHeadRecord, shared: SharedStops): HeadStops {
    return this.#serial ? shared.of(this.config.frontEnd.bitsPerCycle).stops : denseStops(record);
  }

  #exact(record: AttentionHeadRecord, mapping: Mapping, shared: SharedStops): Played {
    if (this.#serial) {
      const { bitsPerCycle } = this.config.frontEnd;
      const { stops, profile } = shared.of(bitsPerCycle);
      shared.check(bitsPerCycle, this.config.emptyRow);
      return { profile, timing: playHead(this.config, mapping, stops) };
    }
    // Without pruning, heads of equal sizes take equal times.
    const { queries, keys, causal, bits, headDim, valueDim } = record;
    const sizes = [queries, keys, causal, bits, headDim, valueDim].join();
    let played = this.#dense.get(sizes);
    if (played === undefined) {
      played = { profile: denseProfile(record, bits), timing: playHead(this.config, mapping, denseStops(record)) };
      this.#dense.set(sizes, played);
    }
    return played;
  }

  result(): SimulationResult | Infeasible {
    if (this.#misfit !== undefined) return { feasible: false, name: this.name, machine: 'leopard', ...this.#misfit };
    return this.#totals.result();
  }
}

/** Profile of a head from a share of its rows, scaled up; of all rows when they differ in visible keys. */
function sampledProfile(record: AttentionHeadRecord, bitsPerCycle: number): HeadProfile {
  if (record.causal || record.queries < 2 * FAST_ROWS) return profileOf(headStops(record, bitsPerCycle));
  const { headDim } = record;
  const queries = Math.floor(record.queries / FAST_ROWS);
  const q = new Int16Array(queries * headDim);
  for (let row = 0; row < queries; row++) {
    q.set(record.q.subarray(row * FAST_ROWS * headDim, (row * FAST_ROWS + 1) * headDim), row * headDim);
  }
  const profile = profileOf(headStops({ ...record, q, queries }, bitsPerCycle));
  const scale = record.queries / queries;
  return {
    rows: record.queries,
    scores: profile.scores * scale,
    kept: profile.kept * scale,
    emptyRows: profile.emptyRows * scale,
    steps: profile.steps * scale,
    bits: profile.bits * scale,
    rescueSteps: profile.rescueSteps * scale,
    stops: profile.stops.map((count) => count * scale),
    keptPerRow: profile.keptPerRow,
  };
}

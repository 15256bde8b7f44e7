/**
 * SpAtten (Wang, Zhang and Han, HPCA 2021, arXiv 2012.09852): attention with tokens and heads pruned in cascade. Two arrays
 * of multipliers (Q·Kᵀ and P·V) with softmax and a top-k engine between them, fed from HBM; most significant bits of K
 * first, least significant ones only for rows whose probabilities are flat. It plays what a trace says is left: token
 * bits (0: removed; other widths do not concern it, SpAtten fetches all that is left at its own widths) and attention heads.
 *
 * The closed form and the cycles. The published behavioural model (spatten-published.ts) is counted beside the cycle
 * model, as `closedFormCycles`. The two differ for these reasons:
 *   - the closed form adds memory and arithmetic; here a head is fetched while another one is worked on;
 *   - it has one array cycle per batch of keys for a whole row, Q·Kᵀ and P·V together, which is right as long as softmax
 *     keeps up; here rows go through stages, and the slowest one (softmax, where heads are narrow) sets the pace;
 *   - it moves K and V only; here Q is read, results are written, and least significant bits are fetched;
 *   - it lets every row through once; here flat rows go through Q·Kᵀ and softmax again;
 *   - it lets every row see every key; here causal rows see less, and rows with pruned values take fewer cycles in P·V;
 *   - its quick-select runs after a head's scores; here tokens and heads are picked once, after the layer.
 */
import { TandemError } from '../errors.js';
import { ConservationLaws } from './conservation.js';
import { type PartActivity, playRecords, resultOf, sumActions, sumCounts } from './engine.js';
import { withMemory } from './memory/settings.js';
import { spattenActions, spattenComponents } from './spatten-components.js';
import { type SpattenConfig, spattenSchema } from './spatten-config.js';
import { bufferBytes, type LayerRun, playLayer } from './spatten-layer.js';
import { spattenMemory } from './spatten-memory.js';
import { STAGES } from './spatten-schedule.js';
import { spattenSizing } from './spatten-sizing.js';
import { follow, type LayerWork, type Work, WorkCollector } from './spatten-work.js';
import type { Infeasible, Machine, SimulationOptions, SimulationResult, TimelineLane, Workload } from './types.js';

const NAME = 'spatten';

export const spatten: Machine<SpattenConfig> = {
  name: NAME,
  description: 'SpAtten (HPCA 2021): cascade token and head pruning with a top-k engine, and progressive quantisation',
  schema: spattenSchema,
  accepts: ['trace'],
  presets: ['spatten', 'spatten-1-8'],
  decodes: true,
  sizing: spattenSizing,
  async simulate(config, workload, options) {
    const work = await collect(config, workload, options);
    return misfit(config, work, options.name) ?? play(config, work, options.name);
  },
};

async function collect(config: SpattenConfig, workload: Workload, options: SimulationOptions): Promise<Work> {
  if (workload.kind !== 'trace') {
    throw new TandemError('TANDEM_CONFIG_INVALID', 'SpAtten plays traces of token bits or attention heads only.', {
      remedy: 'Give it a trace that was recorded with a technique that removes tokens or prunes attention scores.',
    });
  }
  const collector = new WorkCollector(config, workload.header);
  await playRecords(workload.records, options, (record) => collector.add(record));
  return collector.finish();
}

function misfit(config: SpattenConfig, { layers }: Work, name: string): Infeasible | undefined {
  const { buffers } = config;
  const largest = (of: (head: LayerWork['heads'][number]) => number) =>
    layers.reduce((most, { heads }) => heads.reduce((one, head) => Math.max(one, of(head)), most), 0);
  const over = (resource: string, demand: number, bound: number, unit: string, setting: string) =>
    demand <= bound
      ? undefined
      : {
          feasible: false as const,
          name,
          machine: NAME,
          resource,
          demand,
          bound,
          unit,
          levers: [`${setting} ≥ ${demand}`],
        };
  const keys = bufferBytes(
    config,
    largest((head) => head.keys * head.headWidth),
  );
  const values = bufferBytes(
    config,
    largest((head) => head.keys * head.valueWidth),
  );
  return (
    over('K buffer', keys, buffers.keyBytes, 'bytes', 'buffers.keyBytes') ??
    over('V buffer', values, buffers.valueBytes, 'bytes', 'buffers.valueBytes')
  );
}

/** Layers of all sequences one after the other; results of the same layer are one part. */
function play(config: SpattenConfig, work: Work, name: string): SimulationResult {
  const laws = new ConservationLaws(NAME);
  const parts = new Map<number, PartActivity>();
  let example: { readonly run: LayerRun; readonly work: LayerWork } | undefined;
  for (const [index, layer] of work.layers.entries()) {
    const following = work.layers[index + 1];
    const run = playLayer(config, layer, following && follow(layer, following) ? following : undefined);
    example ??= { run, work: layer };
    checkLayer(new ConservationLaws(NAME), config, layer, run);
    parts.set(layer.layer, merged(config, parts.get(layer.layer), layer, run));
  }
  const ordered = [...parts].sort(([a], [b]) => a - b).map(([, part]) => part);
  const cycles = ordered.reduce((sum, part) => sum + part.cycles, 0);
  const counts = sumCounts(ordered.map((part) => part.counts));
  checkTotals(laws, config, counts, cycles, work);
  const share = (busy: number) => (cycles === 0 ? 0 : busy / cycles);
  const result = resultOf({
    name,
    machine: NAME,
    configuration: config,
    fidelity: 'cycle',
    cycles,
    composition: spattenComponents(config),
    parts: ordered,
    utilisation: {
      multipliers: share((counts.keyMacs! + counts.valueMacs!) / (2 * config.multipliers)),
      memory: share(counts.memoryCycles!),
      softmax: share(counts.softmaxCycles!),
    },
    histograms: {},
    timeline: example ? timeline(example.run) : [],
    laws,
    remarks: remarks(config, work, counts, cycles),
  });
  return { ...withMemory(result, spattenMemory(config)), timelineOf: 'the first layer' };
}

function merged(
  config: SpattenConfig,
  before: PartActivity | undefined,
  { layer }: LayerWork,
  run: LayerRun,
): PartActivity {
  const counts = sumCounts([before?.counts ?? {}, run.counts]);
  const cycles = (before?.cycles ?? 0) + run.cycles;
  return {
    layer: `layer ${layer}`,
    cycles,
    utilisation: cycles === 0 ? 0 : (counts.keyMacs! + counts.valueMacs!) / (2 * config.multipliers * cycles),
    counts,
    actions: sumActions([before?.actions ?? {}, spattenActions(config, run)]),
  };
}

/** Laws of one layer; the trace's sizes stand on one side, the machine's counts on the other. */
function checkLayer(
  laws: ConservationLaws,
  config: SpattenConfig,
  work: LayerWork,
  { counts, schedule }: LayerRun,
): void {
  const sum = (of: (head: LayerWork['heads'][number]) => number) => work.heads.reduce((all, head) => all + of(head), 0);
  const { keyBits, valueBits } = config.fetch;
  laws.equal(
    'rows = queries of all heads that are left',
    counts.rows,
    sum(({ queries }) => queries),
  );
  laws.equal(
    'each key that is left is fetched once',
    counts.keyHighBits,
    sum((head) => head.keys * head.headWidth) * keyBits,
  );
  laws.atMost('no value is fetched twice', counts.valueBits, sum((head) => head.keys * head.valueWidth) * valueBits);
  laws.atMost(
    'no stage is busier than its layer is long',
    Math.max(...schedule.busy, schedule.memory),
    schedule.cycles,
  );
}

function checkTotals(
  laws: ConservationLaws,
  config: SpattenConfig,
  counts: Readonly<Record<string, number>>,
  cycles: number,
  work: Work,
): void {
  const { multipliers } = config;
  const moved = ['queryBits', 'keyHighBits', 'keyLowBits', 'valueBits', 'resultBits'];
  const rows = work.layers.reduce((sum, { heads }) => heads.reduce((one, { queries }) => one + queries, sum), 0);
  laws.equal('rows = queries of all heads that are left', counts.rows!, rows);
  laws.atMost(
    'Q·Kᵀ: multiplications ≤ array cycles × multipliers',
    counts.keyMacs!,
    counts.keyArrayCycles! * multipliers,
  );
  laws.atMost(
    'P·V: multiplications ≤ array cycles × multipliers',
    counts.valueMacs!,
    counts.valueArrayCycles! * multipliers,
  );
  laws.atMost(
    'bits moved ≤ memory cycles × bandwidth',
    moved.reduce((sum, name) => sum + counts[name]!, 0),
    counts.memoryCycles! * spattenMemory(config).bitsPerCycle,
  );
  laws.atMost('memory: busy ≤ cycles', counts.memoryCycles!, cycles);
  laws.atMost('tokens that are left ≤ tokens', counts.keptTokens!, counts.tokens!);
  laws.atMost('heads that are left ≤ heads', counts.keptHeads!, counts.heads!);
}

/** Rows that a figure can still show. */
const TIMELINE_INTERVALS = 200;

function timeline({ schedule }: LayerRun): TimelineLane[] {
  const lanes = STAGES.map((lane, stage) => ({
    lane,
    busy: schedule.stages[stage]!.slice(0, TIMELINE_INTERVALS).map(({ start, end, head }) => ({
      start,
      end,
      label: `head ${head}`,
    })),
  }));
  return [{ lane: 'memory', busy: schedule.transfers.slice(0, TIMELINE_INTERVALS) }, ...lanes].filter(
    ({ busy }) => busy.length > 0,
  );
}

function remarks(
  config: SpattenConfig,
  { decided, heads }: Work,
  counts: Readonly<Record<string, number>>,
  cycles: number,
): string[] {
  const remarks = [
    'Attention only: projections and feed-forward parts run elsewhere, and a layer waits for the one before it.',
    `The published closed form gives ${counts.closedFormCycles} cycles, ${ratio(counts.closedFormCycles!, cycles)} of the ${cycles} here: it adds memory and arithmetic that overlap here, moves neither Q nor results, lets every row see every key, and no row through twice, as ${counts.flatRows} flat ones of ${counts.rows} are here.`,
  ];
  if (decided < heads && config.fetch.lowBits > 0) {
    remarks.push(
      `Of ${heads} heads, ${heads - decided} have no Q and K in the trace: ${(100 * config.fetch.flatShare).toPrecision(3)} % of their rows are taken to be flat (assumed).`,
    );
  }
  if (config.published) {
    const { coreMilliwatts, dramMilliwatts } = config.published;
    const seconds = cycles / config.technology.clockHertz;
    const microjoules = (coreMilliwatts + dramMilliwatts) * seconds * 1e3;
    remarks.push(
      `At the published power of ${coreMilliwatts} mW and ${dramMilliwatts} mW for memory, this time takes ${microjoules.toPrecision(4)} µJ.`,
    );
  }
  return remarks;
}

const ratio = (one: number, other: number): string => `${(100 * (other === 0 ? 0 : one / other)).toFixed(1)} %`;

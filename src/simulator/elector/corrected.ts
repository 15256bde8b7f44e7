/** The corrected ELECTOR on its two kinds of workload: a transformer's shape, or the zero masks of a trace. */
import { TandemError } from '../../errors.js';
import { ARCHITECTURE_NOTE } from '../../trace/matrices.js';
import type { MaskRecord, TraceHeader } from '../../trace/types.js';
import type { TransformerArchitecture } from '../../workload/transformer.js';
import { playRecords, sumActions } from '../engine.js';
import type { Infeasible, SimulationOptions, SimulationResult, Workload } from '../types.js';
import { electorComposition, SQUARE_MICROMETRES_PER_SQUARE_MILLIMETRE } from './area.js';
import { Actions, operationActions, transferActions } from './bill.js';
import type { ElectorConfig } from './config.js';
import { play } from './engine.js';
import { timedMainMemory } from './main-memory.js';
import { assumedDensity, drawnMasks, keyOf, type MaskSource, part, RecordedMasks } from './masks.js';
import type { Matrix, Program } from './operations.js';
import { type PlayedPart, playParts, playPartsSteps } from './parts.js';
import type { Misfit } from './played.js';
import { buildProgram } from './program.js';
import { finishInterruptibly } from './stepwise.js';
import { type OperationCosts, TileCosts } from './tile-costs.js';
import { TileEstimates } from './tile-estimates.js';
import { ElectorTotals } from './totals.js';

type Mode = 'cycle' | 'fast';
type Outcome = SimulationResult | Infeasible;

/** @throws TANDEM_TRACE_INCONSISTENT, TANDEM_CONFIG_INVALID */
export function corrected(
  config: ElectorConfig,
  workload: Extract<Workload, { kind: 'trace' | 'transformer' }>,
  mode: Mode,
  options: SimulationOptions,
): Promise<Outcome> | Outcome {
  return workload.kind === 'trace'
    ? playTrace(config, workload, mode, options)
    : playTransformer(config, workload.architecture, mode, options);
}

/** One batch of sequences of full length, zeros with the configured shares. */
async function playTransformer(
  config: ElectorConfig,
  architecture: TransformerArchitecture,
  mode: Mode,
  { name, onProgress, signal }: SimulationOptions,
): Promise<Outcome> {
  signal?.throwIfAborted();
  const totals = new ElectorTotals(name, config, mode);
  if (architecture.layers.length === 0) return totals.result(REMARKS);
  const program = buildProgram(architecture, config.phase, architecture.tokens);
  const costs = mode === 'cycle' ? drawn(config, architecture) : estimated(config);
  const work = playPartsSteps({
    program,
    config,
    costs,
    sequences: config.batch,
    alike: mode === 'fast',
  });
  const parts = await finishInterruptibly(work, signal);
  if (!Array.isArray(parts)) return infeasible(name, parts);
  totals.addParts(program, parts);
  onProgress?.(architecture.layers.length);
  const error = mode === 'fast' ? errorOnFirstLayer(config, architecture) : undefined;
  return totals.result([...REMARKS, DRAWN_REMARK, ...partsRemark(config.batch, parts)], error);
}

type CostsOf = (first: number, count: number) => OperationCosts;

function drawn(config: ElectorConfig, { tokens }: TransformerArchitecture): CostsOf {
  const masks = drawnMasks(config.batch, tokens, (matrix) => configuredDensity(config, matrix));
  return (first, count) => new TileCosts(config, part(masks, first, count), () => 1);
}

const estimated =
  (config: ElectorConfig): CostsOf =>
  (_, count) =>
    new TileEstimates(config, count, (matrix) => configuredDensity(config, matrix));

/** A machine without sparsity modules treats zeros as any value. */
const configuredDensity = (config: ElectorConfig, { mask }: Matrix): number =>
  config.sparsityModules ? assumedDensity(config, mask.content) : 1;

/** Closed form over exact cycles minus 1, on the first layer with the embedding in place: what is left is computing. */
export function errorOnFirstLayer(config: ElectorConfig, architecture: TransformerArchitecture): number | undefined {
  const first = { ...architecture, layers: architecture.layers.slice(0, 1) };
  const program = buildProgram(first, config.phase, first.tokens);
  const cyclesOf = (costs: CostsOf) => {
    // One part is enough: the others differ in nothing but their zeros.
    const parts = playParts({ program, config, costs, sequences: config.batch, held: [], alike: true });
    return Array.isArray(parts) ? parts[0]!.played.cycles : undefined;
  };
  const [exact, estimate] = [cyclesOf(drawn(config, first)), cyclesOf(estimated(config))];
  return exact === undefined || estimate === undefined ? undefined : estimate / exact - 1;
}

/** What a search asks of a design point, without the evidence around it. */
export interface DesignPoint {
  readonly cycles: number;
  readonly areaSquareMillimetres: number;
  readonly energyPicojoules: number;
  readonly energy: SimulationResult['energy'];
  /** Busy share of each unit kind. */
  readonly utilisation: Readonly<Record<string, number>>;
}

/** Closed form alone. */
export function designPoint(
  config: ElectorConfig,
  architecture: TransformerArchitecture,
  name: string,
): DesignPoint | Infeasible {
  const program = buildProgram(architecture, config.phase, architecture.tokens);
  const batch = { sequences: config.batch, alike: true };
  const parts = playParts({ program, config, costs: estimated(config), ...batch });
  if (!Array.isArray(parts)) return infeasible(name, parts);
  const timed = timedMainMemory(config);
  const actions = sumActions(
    parts.flatMap(({ played, times }) => {
      const bill = new Actions();
      for (const operation of played.operations) operationActions(operation, config, bill);
      for (const transfer of played.transfers) transferActions(transfer, timed, bill);
      return Array.from({ length: times }, () => bill.counts);
    }),
  );
  const cycles = parts.reduce((sum, { played, times }) => sum + times * played.cycles, 0);
  const composition = electorComposition(config);
  const { picojoules, shares } = composition.energy(actions, cycles);
  const busy = (unit: string, count: number) => (actions[unit]?.cycle ?? 0) / (count * cycles);
  return {
    cycles,
    areaSquareMillimetres: composition.areaSquareMicrometres / SQUARE_MICROMETRES_PER_SQUARE_MILLIMETRE,
    energyPicojoules: picojoules,
    energy: shares,
    utilisation: {
      'MAC lanes': busy('MAC lanes', config.pes * config.lanesPerPe),
      softmax: busy('softmax', config.pes * config.softmaxPerPe),
      'layer norm': busy('layer norm', config.pes),
    },
  };
}

/** Batches as the trace's sequences follow each other; of a training, those of one step. */
async function playTrace(
  config: ElectorConfig,
  { header, records }: Extract<Workload, { kind: 'trace' }>,
  mode: Mode,
  options: SimulationOptions,
): Promise<Outcome> {
  const run = new TraceRun(config, header, mode, options.name);
  await playRecords(records, options, (record) => {
    if (record.kind === 'mask') run.add(record);
  });
  return run.finish();
}

/** Gathers the masks of a batch, plays it when the next one starts, and forgets it. */
class TraceRun {
  readonly #architecture: TransformerArchitecture;
  readonly #totals: ElectorTotals;
  readonly #shared = new Map<string, MaskRecord>();
  #records: MaskRecord[] = [];
  #batch: string | undefined;
  readonly #begun = new Set<string>();
  #step: number | undefined;
  #batches = 0;
  #parts = 0;
  #held: readonly string[] | undefined;
  #error: number | undefined;
  #misfit: Misfit | undefined;

  constructor(
    readonly config: ElectorConfig,
    readonly header: TraceHeader,
    readonly mode: Mode,
    readonly name: string,
  ) {
    this.#architecture = architectureOf(header);
    this.#totals = new ElectorTotals(name, config, mode);
  }

  add(record: MaskRecord): void {
    const batch = `${record.step}/${Math.floor(record.sequence / this.config.batch)}`;
    if (batch !== this.#batch) {
      this.#play();
      if (this.#begun.has(batch)) {
        throw inconsistent(
          `Records of sequence ${record.sequence} come in several places of the trace.`,
          'Write all records of a sequence one after the other, and sequences in order.',
        );
      }
      this.#begun.add(batch);
    }
    // A training step changed the weights: only the embedding's place stands.
    if (record.step !== this.#step && this.#held) this.#held = [];
    this.#step = record.step;
    this.#batch = batch;
    // Weights come with the first sequence, and hold until they come again.
    if (isShared(record)) this.#shared.set(keyOf(record), record);
    else this.#records.push(record);
  }

  finish(): Outcome {
    if (this.#records.length > 0) this.#play();
    if (this.#misfit) return infeasible(this.name, this.#misfit);
    if (this.#batches === 0) {
      throw inconsistent('The trace holds no zero masks.', 'Record it with dynatran, or with dynaprop for training.');
    }
    const batches = `${this.#batches} batches of up to ${this.config.batch} sequences ran one after the other`;
    const parts = this.#parts > this.#batches ? `, in ${this.#parts} parts that have room in the buffers` : '';
    const remark = `${batches}${parts}; the embedding was loaded once.`;
    return this.#totals.result([...REMARKS, TRACE_REMARK, remark], this.#error);
  }

  #play(): void {
    const records = this.#records;
    this.#records = [];
    if (this.#misfit || records.length === 0) return;
    const { config } = this;
    if (config.phase === 'training' && !records.some(({ phase }) => phase === 'backward')) {
      throw inconsistent(
        'The trace holds no masks of a backward pass.',
        'Use the trace of a training with dynaprop, or phase=inference.',
      );
    }
    const masks = new RecordedMasks(records, this.#shared);
    const program = buildProgram(this.#architecture, config.phase, masks.tokens);
    const batch = { sequences: masks.sequences, held: this.#held, alike: false };
    const parts = playParts({ program, config, costs: this.#costs(this.mode, masks), ...batch });
    if (!Array.isArray(parts)) {
      this.#misfit = parts;
      return;
    }
    if (this.mode === 'fast' && this.#batches === 0) this.#error = this.#errorOf(program, parts, masks);
    this.#totals.addParts(program, parts);
    this.#parts += parts.length;
    this.#held = parts.at(-1)!.played.held;
    this.#batches++;
  }

  #costs(mode: Mode, recorded: RecordedMasks): CostsOf {
    const unknown = (matrix: Matrix) => densityBesideTrace(this.config, matrix);
    const masks = this.config.sparsityModules
      ? recorded
      : { ...part(recorded, 0, recorded.sequences), lengths: undefined, mask: () => undefined };
    if (mode === 'cycle') return (first, count) => new TileCosts(this.config, part(masks, first, count), unknown);
    return (first, count) => {
      const taken = part(masks, first, count);
      return new TileEstimates(this.config, count, measuredDensity(taken, unknown), taken.lengths);
    };
  }

  /** Of the first part. */
  #errorOf(program: Program, [estimate]: readonly PlayedPart[], masks: RecordedMasks): number | undefined {
    const costs = this.#costs('cycle', masks)(0, estimate!.sequences);
    const exact = play(program, this.config, costs, { keepWeights: true });
    return 'demandBits' in exact ? undefined : estimate!.played.cycles / exact.cycles - 1;
  }
}

const isShared = ({ phase, matrix }: MaskRecord): boolean => phase === 'update' || matrix.includes('weight');

/** No trace has the embedding's zeros: the configured share stands. What a trace leaves out otherwise has none. */
const densityBesideTrace = (config: ElectorConfig, { mask, name }: Matrix): number =>
  name === 'embedding' && config.sparsityModules ? assumedDensity(config, mask.content) : 1;

/** Share of non-zeros over a batch, each matrix counted once. */
function measuredDensity(masks: MaskSource, unknown: (matrix: Matrix) => number): (matrix: Matrix) => number {
  const known = new Map<number, number>();
  return (matrix) => {
    let density = known.get(matrix.id);
    if (density === undefined) {
      let [nonZeros, elements] = [0, 0];
      for (let sequence = 0; sequence < (matrix.shared ? 1 : masks.sequences); sequence++) {
        const mask = masks.mask(matrix, sequence);
        if (!mask) continue;
        elements += mask.nonZero.length;
        for (const bit of mask.nonZero) nonZeros += bit;
      }
      density = elements === 0 ? unknown(matrix) : nonZeros / elements;
      known.set(matrix.id, density);
    }
    return density;
  };
}

function architectureOf({ notes }: TraceHeader): TransformerArchitecture {
  const note = notes[ARCHITECTURE_NOTE];
  if (note !== undefined) return JSON.parse(note) as TransformerArchitecture;
  throw inconsistent(
    'The trace does not say the shape of its model.',
    `Record it from a model whose sizes Tandem knows; the header's note "${ARCHITECTURE_NOTE}" holds them.`,
  );
}

const inconsistent = (message: string, remedy: string): TandemError =>
  new TandemError('TANDEM_TRACE_INCONSISTENT', message, { remedy });

const BITS_PER_MEGABYTE = 8 * 2 ** 20;

function infeasible(name: string, { buffer, demandBits, boundBits, operation }: Misfit): Infeasible {
  const demand = demandBits / BITS_PER_MEGABYTE;
  const size = `buffers.${buffer}Megabytes ≥ ${Math.ceil(demand * 100) / 100}`;
  const others = {
    weight: ['a smaller vocabulary or first hidden size', 'more zeros in the weights'],
    activation: ['fewer tokens', 'more zeros in the activations'],
    mask: ['fewer tokens', 'a smaller vocabulary or first hidden size'],
  };
  return {
    feasible: false,
    name,
    machine: 'elector',
    resource: `${buffer} buffer, for ${operation} and what must stay beside it`,
    demand,
    bound: boundBits / BITS_PER_MEGABYTE,
    unit: 'MB',
    levers: [size, ...others[buffer]],
  };
}

function partsRemark(batch: number, parts: readonly PlayedPart[]): string[] {
  const count = parts.reduce((sum, { times }) => sum + times, 0);
  if (count === 1) return [];
  return [`The ${batch} sequences have no room at once: they run in ${count} parts of up to ${parts[0]!.sequences}.`];
}

const REMARKS: readonly string[] = [
  'Lanes take tile products in turn, in the loop order; a product costs its common non-zeros over the lane’s multipliers, at least one cycle, and no less than its operands take through the FIFO.',
  'Main memory works ahead of the lanes as far as the buffers have room; what does not fit leaves for main memory, the furthest needed first; a weight that is too large streams through. Weights stay for the next batch, until a training step changes them, where they have room.',
  'Everything leaks for the whole run; the leakage of AccelTran’s main memories is not published and not modelled. Partial sums are added at no cost.',
];
const DRAWN_REMARK = 'No trace: zeros are drawn independently of each other, with the configured shares.';
const TRACE_REMARK =
  'Zeros are those of the trace; matrices that it leaves out count as dense, the embedding as configured.';

/** Collects what the engine played, batch after batch, and turns it into a result: parts, energy, waits, laws. */
import type { ActionCounts, Composition } from '../../hardware/compose.js';
import { ConservationLaws } from '../conservation.js';
import { type PartActivity, resultOf, sumActions, sumCounts } from '../engine.js';
import { withMemory } from '../memory/settings.js';
import type { Memory } from '../memory/types.js';
import type { SimulationResult, TimelineLane } from '../types.js';
import { electorComposition } from './area.js';
import { operationActions, transferActions, unitOf } from './bill.js';
import type { ElectorConfig } from './config.js';
import { BUFFER_BANDWIDTH, type BufferName, memoryCost } from './constants.js';
import { bitsPerCycle } from './engine.js';
import { timedMainMemory } from './main-memory.js';
import type { Program } from './operations.js';
import { OverTime } from './over-time.js';
import type { PlayedPart } from './parts.js';
import type { Played, PlayedOperation } from './played.js';

const BUFFER_NAMES: readonly BufferName[] = ['activation', 'weight', 'mask'];
const UNITS = ['MAC lanes', 'softmax', 'layer norm'] as const;

/** What waits between the end of an operation's last producer and its first tile, and after its last tile. */
const NO_WAITS = {
  'room in a buffer': 0,
  'operand from main memory': 0,
  'free unit': 0,
  'result into its buffer': 0,
};
type Waits = { -readonly [K in keyof typeof NO_WAITS]: number };

interface LayerActivity {
  readonly actions: ActionCounts[];
  readonly counts: Record<string, number>[];
  from: number;
  to: number;
}

export class ElectorTotals {
  readonly composition: Composition;
  readonly #parts = new Map<string, PartActivity>();
  readonly #waits: Waits = { ...NO_WAITS };
  readonly #busy: Record<string, number> = {};
  readonly #overTime: OverTime;
  readonly #timed: Memory | undefined;
  readonly #moved = { in: 0, out: 0, resident: 0 };
  #memoryBusy = 0;
  #operations = 0;
  #planned = 0;
  #cycles = 0;
  #timeline: TimelineLane[] = [];

  constructor(
    readonly name: string,
    readonly config: ElectorConfig,
    readonly fidelity: 'cycle' | 'fast',
  ) {
    this.composition = electorComposition(config);
    this.#overTime = new OverTime(this.composition, config);
    this.#timed = timedMainMemory(config);
  }

  get cycles(): number {
    return this.#cycles;
  }

  /** Batches, and parts of batches, run one after the other. */
  addParts(program: Program, parts: readonly PlayedPart[]): void {
    for (const { played, times } of parts) for (let time = 0; time < times; time++) this.#add(program, played);
  }

  #add(program: Program, played: Played): void {
    const layers = new Map<number, LayerActivity>();
    const layerOf = (layer: number) => {
      const found = layers.get(layer) ?? { actions: [], counts: [], from: Number.POSITIVE_INFINITY, to: 0 };
      layers.set(layer, found);
      return found;
    };
    const writtenAt = new Float64Array(program.matrices.length);
    for (const one of played.operations) {
      const { operation, dispatch } = one;
      writtenAt[operation.writes.id] = Math.max(writtenAt[operation.writes.id]!, one.done);
      const layer = layerOf(operation.layer);
      const actions = operationActions(one, this.config);
      layer.actions.push(actions);
      layer.counts.push(countsOf(one));
      layer.from = Math.min(layer.from, dispatch.start);
      layer.to = Math.max(layer.to, one.done);
      const unit = unitOf(operation);
      if (unit) this.#busy[unit] = (this.#busy[unit] ?? 0) + dispatch.busy;
      this.#overTime.operation(one, unit, actions, this.#cycles);
    }
    this.#countWaits(played, writtenAt);
    for (const transfer of played.transfers) {
      const actions = transferActions(transfer, this.#timed);
      const { layer } = transfer.matrix.mask;
      layerOf(layer).actions.push(actions);
      if (transfer.matrix === program.embedding) {
        // Nothing else can begin before: this time is the embedding's, and what leaks in it.
        const part = layerOf(layer);
        part.from = Math.min(part.from, transfer.start);
        part.to = Math.max(part.to, transfer.end);
      }
      const bits = transfer.size.data + transfer.size.mask;
      layerOf(layer).counts.push({ [transfer.direction === 'load' ? 'loadedBits' : 'storedBits']: bits });
      this.#memoryBusy += transfer.end - transfer.start;
      this.#overTime.transfer(transfer, actions, this.#cycles);
    }
    for (const change of played.fills) this.#moved[change.bits > 0 ? 'in' : 'out'] += Math.abs(change.bits);
    this.#moved.resident += BUFFER_NAMES.reduce((sum, name) => sum + played.resident[name], 0);
    this.#overTime.fills(played, this.#cycles);
    for (const [layer, { actions, counts, from, to }] of layers) {
      this.#addPart(layer, sumActions(actions), sumCounts(counts), Math.max(0, to - from));
    }
    if (this.#operations === 0) this.#timeline = timelineOf(played);
    this.#operations += played.operations.length;
    this.#planned += program.operations.length;
    this.#cycles += played.cycles;
  }

  #addPart(layer: number, actions: ActionCounts, counts: Record<string, number>, cycles: number): void {
    const name = layer < 0 ? 'embedding' : `layer ${layer}`;
    const before = this.#parts.get(name);
    const busy = (actions['MAC lanes']?.cycle ?? 0) + (before?.actions['MAC lanes']?.cycle ?? 0);
    const all = cycles + (before?.cycles ?? 0);
    this.#parts.set(name, {
      layer: name,
      cycles: all,
      actions: before ? sumActions([before.actions, actions]) : actions,
      counts: before ? sumCounts([before.counts, counts]) : counts,
      utilisation: all === 0 ? 0 : busy / (all * this.#lanes),
    });
  }

  get #lanes(): number {
    return this.config.pes * this.config.lanesPerPe;
  }

  /** Splits the time from the end of the last producer to the first tile by what was missing. */
  #countWaits({ operations }: Played, writtenAt: Float64Array): void {
    for (const { operation, dispatch, admitted, ready, done } of operations) {
      const produced = operation.reads.reduce((last, { id }) => Math.max(last, writtenAt[id]!), 0);
      const room = Math.max(0, admitted - produced);
      this.#waits['room in a buffer'] += room;
      this.#waits['operand from main memory'] += Math.max(0, ready - Math.max(admitted, produced));
      this.#waits['free unit'] += Math.max(0, dispatch.start - ready);
      this.#waits['result into its buffer'] += Math.max(0, done - dispatch.end);
    }
  }

  result(remarks: readonly string[], cyclesError?: number): SimulationResult {
    const { config, composition } = this;
    const cycles = this.#cycles;
    const laws = new ConservationLaws('elector');
    const parts = [...this.#parts.values()].sort((a, b) => order(a.layer) - order(b.layer));
    const counts = sumCounts(parts.map((part) => part.counts));
    laws.equal('every operation is played once', this.#operations, this.#planned);
    laws.close(
      'bits into the buffers = bits out + bits that stay',
      this.#moved.in,
      this.#moved.out + this.#moved.resident,
    );
    laws.atMost(
      'multiplications done ≤ those of a dense machine',
      counts.multiplications ?? 0,
      counts.denseMultiplications ?? 0,
    );
    const slots = (this.#busy['MAC lanes'] ?? 0) * config.macsPerLane;
    if (this.fidelity === 'cycle')
      laws.atMost('multiplications ≤ busy lane cycles × multipliers of a lane', counts.multiplications ?? 0, slots);
    const units = { 'MAC lanes': this.#lanes, softmax: config.pes * config.softmaxPerPe, 'layer norm': config.pes };
    const share = (busy: number, count: number) => (cycles === 0 ? 0 : busy / (cycles * count));
    const utilisation: Record<string, number> = {};
    for (const unit of UNITS) utilisation[unit] = share(this.#busy[unit] ?? 0, units[unit]);
    utilisation['main memory'] = share(this.#memoryBusy, 1);
    for (const [name, fill] of Object.entries(this.#overTime.meanFills(cycles))) utilisation[`${name} buffer`] = fill;
    const result = resultOf({
      name: this.name,
      machine: 'elector',
      configuration: config,
      fidelity: this.fidelity,
      ...(cyclesError !== undefined && { cyclesError }),
      cycles,
      composition,
      parts,
      utilisation,
      histograms: {},
      timeline: this.#timeline,
      laws,
      remarks: [...remarks, operandRemark(config, counts, cycles)],
    });
    const paths = [
      BUFFER_BANDWIDTH.gigabytesPerSecond,
      ...(this.#timed ? [] : [memoryCost(config.memory).gigabytesPerSecond]),
    ];
    return {
      ...(this.#timed ? withMemory(result, this.#timed) : result),
      constants: [...result.constants, ...(this.#timed?.constants ?? []), ...paths],
      timelineOf: 'the first batch',
      stalls: this.#waits,
      overTime: this.#overTime.series(cycles),
    };
  }
}

const order = (layer: string): number => (layer === 'embedding' ? -1 : Number(layer.slice('layer '.length)));

function countsOf({ dispatch }: PlayedOperation): Record<string, number> {
  const { tiles, executed, dense, leftReads, rightReads } = dispatch;
  return {
    tiles,
    denseMultiplications: dense,
    multiplications: executed,
    operandTileReads: leftReads.tiles + rightReads.tiles,
    operandWordsRead: leftReads.words + rightReads.words,
  };
}

/** The published buffers are single banks; lanes that share nothing would need many of them. */
function operandRemark(
  config: ElectorConfig,
  { operandWordsRead = 0 }: Record<string, number>,
  cycles: number,
): string {
  const demand = cycles === 0 ? 0 : (operandWordsRead * 20) / cycles;
  const rate = bitsPerCycle(BUFFER_BANDWIDTH, config.technology.clockHertz);
  return `Operands come to the lanes as fast as FIFOs take them (32 words a cycle): on average ${demand.toFixed(0)} bits a cycle, against ${rate.toFixed(0)} of one published buffer.`;
}

/** The first batch: operations in the order in which their units began them. */
function timelineOf({ operations, transfers }: Played): TimelineLane[] {
  const lane = (name: string, busy: TimelineLane['busy'][number][]): TimelineLane => {
    const sorted = busy.filter(({ start, end }) => end > start).sort((a, b) => a.start - b.start || a.end - b.end);
    // The next operation's first tiles run beside the last ones of the one before: it is shown from there on.
    const shown = sorted.map((interval, at) => ({
      ...interval,
      end: Math.min(interval.end, sorted[at + 1]?.start ?? interval.end),
    }));
    return { lane: name, busy: shown.filter(({ start, end }) => end > start) };
  };
  const onUnit = (unit: string) =>
    operations
      .filter(({ operation }) => unitOf(operation) === unit)
      .map(({ operation, dispatch }) => ({ start: dispatch.start, end: dispatch.end, label: operation.name }));
  const moved = transfers.map(({ matrix, direction, start, end }) => ({
    start,
    end,
    label: `${direction} ${matrix.name}`,
  }));
  return [...UNITS.map((unit) => lane(unit, onUnit(unit))), lane('main memory', moved)];
}

/** Sums of one LeOPArd simulation: parts, histograms, laws, the timeline of an example head, and the result. */
import type { Composition } from '../hardware/compose.js';
import { visibleKeys } from '../trace/statistics.js';
import type { AttentionHeadRecord } from '../trace/types.js';
import { ConservationLaws } from './conservation.js';
import { Histogram, type PartActivity, resultOf, sumCounts } from './engine.js';
import type { HeadOutcome, Mapping } from './leopard-activity.js';
import { type TileActivity, tileActions, tileComponents } from './leopard-components.js';
import type { LeopardConfig } from './leopard-config.js';
import type { HeadProfile } from './leopard-profile.js';
import { bitsAfter } from './leopard-reference.js';
import { referenceSchedule, type ScheduledRow } from './leopard-schedule-reference.js';
import { type HeadStops, KEPT, STEPS } from './leopard-stops.js';
import { PartSums, ReplayError, type SummedPart } from './part-sums.js';
import type { SimulationResult, TimelineLane } from './types.js';

/** Intervals that a timeline figure can still show. */
const TIMELINE_SCORES = 600;

export class LeopardTotals {
  readonly #composition: Composition;
  readonly #parts = new PartSums<TileActivity>();
  readonly replayed = new ReplayError();
  /** Cycles of each tile, by layer of each sequence: the slowest tile counts. */
  readonly #layers = new Map<string, Float64Array>();
  readonly #stopBits = new Histogram();
  readonly #survivorsPerRow = new Histogram();
  /** Quantities counted apart from the outcomes, for the laws. */
  readonly #counted = { scores: 0, survivors: 0, expectedBusyCycles: 0, skippedSteps: 0, frontEndUnitCycles: 0 };
  #passes = 1;
  #timeline: readonly TimelineLane[] = [];

  constructor(
    readonly name: string,
    readonly config: LeopardConfig,
    readonly fidelity: 'cycle' | 'fast',
  ) {
    this.#composition = tileComponents(config);
  }

  add(record: AttentionHeadRecord, mapping: Mapping, profile: HeadProfile, outcome: HeadOutcome): void {
    const { layer, head } = record;
    this.#parts.add({ layer, head, ...outcome });
    this.#addHistograms(record, profile);
    this.#passes = Math.max(this.#passes, mapping.passes);
    const { tiles } = this.config;
    const key = `${record.sequence}/${record.layer}`;
    let busy = this.#layers.get(key);
    if (busy === undefined) {
      busy = new Float64Array(tiles);
      this.#layers.set(key, busy);
    }
    busy[record.head % tiles]! += outcome.cycles;
    if (this.fidelity === 'cycle') this.#count(record, mapping, profile, outcome);
  }

  /** Plays the first queries of a head again with every unit spelled out. */
  showTimeline(record: AttentionHeadRecord, mapping: Mapping, { stops, rescues }: HeadStops): void {
    const rows: ScheduledRow[] = [];
    const scores = (bytes: Uint8Array) =>
      Array.from(bytes, (stop, key) => ({ key, steps: stop & STEPS, kept: stop >= KEPT }));
    for (let query = 0, shown = 0; query < record.queries && shown < TIMELINE_SCORES; query++) {
      const visible = Math.min(visibleKeys(record, query), mapping.keysPerPass);
      const start = query * record.keys;
      rows.push({ query, kind: 'scan', scores: scores(stops.subarray(start, start + visible)) });
      const rescue = rescues.find((one) => one.query === query);
      if (rescue !== undefined && mapping.passes === 1 && this.config.emptyRow === 'keep-largest') {
        rows.push({ query, kind: 'rescue', scores: scores(rescue.stops), rescuedKey: rescue.key });
      }
      shown += visible;
    }
    this.#timeline = referenceSchedule(rows, mapping).timeline;
  }

  result(): SimulationResult {
    const { frontEnd, tiles } = this.config;
    const parts = this.#parts.all().map((part) => this.#partActivity(part));
    const counts = sumCounts(parts.map((part) => part.counts));
    let cycles = 0;
    for (const busy of this.#layers.values()) cycles += busy.reduce((a, b) => Math.max(a, b), 0);
    const laws = new ConservationLaws('leopard');
    if (this.fidelity === 'cycle') this.#checkLaws(laws, counts, cycles);
    return resultOf({
      name: this.name,
      machine: 'leopard',
      configuration: this.config,
      fidelity: this.fidelity,
      ...(this.fidelity === 'fast' && { cyclesError: this.replayed.error }),
      cycles: Math.round(cycles),
      composition: this.#composition,
      parts,
      utilisation: {
        'dot-product units': share(counts.busyUnitCycles!, frontEnd.units * tiles * cycles),
        'back end': share(counts.backEndBusyCycles!, tiles * cycles),
      },
      histograms: { stopBits: this.#stopBits.bins, survivorsPerRow: this.#survivorsPerRow.bins },
      timeline: this.#timeline,
      laws,
      remarks: this.#remarks(),
    });
  }

  #addHistograms(record: AttentionHeadRecord, profile: HeadProfile): void {
    const { frontEnd, emptyRow } = this.config;
    const serial = frontEnd.kind === 'bit-serial';
    const format = { bits: record.bits, bitsPerStep: serial ? frontEnd.bitsPerCycle : record.bits };
    profile.stops.forEach((count, step) => {
      this.#stopBits.add(bitsAfter(format, step), count);
    });
    const rescued = serial && emptyRow === 'keep-largest' ? 1 : 0;
    const scale = profile.rows / Math.max(1, profile.keptPerRow.length);
    for (const kept of profile.keptPerRow) this.#survivorsPerRow.add(kept === 0 ? rescued : kept, scale);
  }

  /** The right-hand sides of the laws, from the record's sizes and bits instead of from the schedule. */
  #count(record: AttentionHeadRecord, mapping: Mapping, profile: HeadProfile, { counts }: HeadOutcome): void {
    const serial = this.config.frontEnd.kind === 'bit-serial';
    let visible = 0;
    for (let query = 0; query < record.queries; query++) visible += visibleKeys(record, query);
    this.#counted.scores += visible;
    this.#counted.survivors += serial ? bitCount(record.survivors, record.queries * record.keys) : visible;
    profile.stops.forEach((count, step) => {
      this.#counted.skippedSteps += count * (mapping.steps - step) * (step > 0 ? 1 : 0);
    });
    this.#counted.expectedBusyCycles += (counts.unitSteps! + counts.rescueSteps!) * mapping.stepCycles;
    this.#counted.frontEndUnitCycles += counts.frontEndCycles! * mapping.units;
  }

  #checkLaws(laws: ConservationLaws, counts: Readonly<Record<string, number>>, cycles: number): void {
    const { scores, survivors, expectedBusyCycles, skippedSteps, frontEndUnitCycles } = this.#counted;
    laws.equal('scores = real queries × visible keys', counts.scores!, scores);
    laws.equal('survivors of the machine = survivors of the trace', counts.survivors!, survivors);
    laws.equal('survivors + pruned = scores', counts.survivors! + counts.pruned!, scores);
    laws.equal('bit steps executed + skipped = dense', counts.unitSteps! + skippedSteps, counts.denseSteps!);
    laws.equal('unit-cycles at work = cycles of all bit steps', counts.busyUnitCycles!, expectedBusyCycles);
    laws.equal('FIFO pushes = survivors', counts.fifoPushes!, survivors);
    laws.equal('FIFO pushes = FIFO pops', counts.fifoPushes!, counts.fifoPops!);
    laws.atMost(
      'units: busy + frozen ≤ front-end cycles × units',
      counts.busyUnitCycles! + counts.frozenUnitCycles!,
      frontEndUnitCycles,
    );
    laws.atMost('back end: busy ≤ cycles', counts.backEndBusyCycles!, cycles * this.config.tiles);
  }

  #partActivity({ layer, head, cycles, counts, activity }: SummedPart<TileActivity>): PartActivity {
    return {
      layer: String(layer),
      ...(head !== undefined && { head }),
      cycles,
      utilisation: Math.min(1, share(counts.busyUnitCycles!, cycles * this.config.frontEnd.units)),
      counts,
      actions: tileActions(this.config, activity),
    };
  }

  #remarks(): string[] {
    const { config } = this;
    const remarks = [
      'Heads of a tile run one after the other; filling the pipelines is charged once per head.',
      config.dram === 'none'
        ? 'Q, K and V are taken to be in the buffers already: no memory traffic is counted.'
        : 'Memory traffic hides behind the previous head when the buffers hold two heads, and adds to it otherwise.',
    ];
    if (config.frontEnd.kind === 'bit-serial') {
      remarks.push(
        'The largest score of a row without survivor is found by a second scan, whose cost is assumed; it is counted as "rescue".',
      );
    }
    if (this.#passes > 1) {
      remarks.push(
        `Some heads exceed the buffers and are gone through in up to ${this.#passes} passes over their keys, with the softmax state carried along (assumed).`,
      );
    }
    if (this.fidelity === 'fast') {
      remarks.push(
        `Fast estimate: cycles differ by ${(100 * this.replayed.error).toFixed(2)} % from cycle fidelity on the heads of this trace that were replayed.`,
      );
    }
    return remarks;
  }
}

/** Ones among the first `bits` bits. */
function bitCount(bytes: Uint8Array, bits: number): number {
  let count = 0;
  bytes.forEach((whole, at) => {
    const valid = at === bits >> 3 ? (1 << (bits & 7)) - 1 : 255;
    for (let byte = whole & valid; byte > 0; byte &= byte - 1) count++;
  });
  return count;
}

const share = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);

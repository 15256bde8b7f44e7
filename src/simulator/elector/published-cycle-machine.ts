/**
 * The published cycle model of AccelTran, cycle for cycle and with its quirks: memory operations, then compute
 * operations are issued, the modules run for a cycle, marks and the log are brought up to date, the pointers move.
 */

import type { ElectorConfig } from './config.js';
import { BLOCK_WORDS, BUFFER_BANDWIDTH, bufferAccessNanojoules, memoryCost } from './constants.js';
import { type Data, PublishedBuffer } from './published-cycle-buffer.js';
import { CycleLog } from './published-cycle-log.js';
import { RequiredMarks } from './published-cycle-marks.js';
import { Pointer } from './published-cycle-pointer.js';
import {
  bitsPerElement,
  bufferBits,
  type MemoryStep,
  type PublishedProgram,
  type UnitKind,
} from './published-cycle-program.js';
import { Units } from './published-cycle-units.js';
import { computeSequence, memorySequence, type Window, windowsAt } from './published-cycle-windows.js';

/** Reasons to wait, in the order of the published program's counters. */
export const STALLS = [
  'data buffer busy',
  'mask buffer busy',
  'data buffer full',
  'mask buffer full',
  'producer not done',
  'compute units busy',
  'data not in buffer',
] as const;

/** Per cycle: busy units, used bits of the buffers, their energy and whether they are busy. */
export const CHANNELS = [
  'macLanes',
  'layerNorm',
  'softmax',
  'activationUsed',
  'activationBusy',
  'activationNanojoules',
  'weightUsed',
  'weightBusy',
  'weightNanojoules',
  'maskUsed',
  'maskBusy',
  'maskNanojoules',
] as const;
type Channel = (typeof CHANNELS)[number];

/** Why a run ended without an end. */
export type Failure =
  /** Nothing moves any more: windows that are larger than all units, or data that nothing brings. */
  | {
      readonly kind: 'deadlock';
      readonly cycle: number;
      readonly tooWide: { readonly operations: number; readonly units: number } | undefined;
      readonly missing: readonly number[];
    }
  | { readonly kind: 'buffer'; readonly buffer: PublishedBuffer; readonly data: Data }
  | { readonly kind: 'softmax'; readonly operations: number; readonly freePes: number };

/** After so many cycles in which nothing changes, nothing will: marks settle in one. */
const CYCLES_WITHOUT_CHANGE = 3;

export class PublishedCycleMachine {
  cycle = 0;
  failure: Failure | undefined;
  /** Waiting operations by cause, see STALLS. Memory operations count once, tile operations one by one in the last. */
  readonly stalls = new Float64Array(STALLS.length);
  readonly log = new CycleLog<Channel>(CHANNELS);
  /** 1: the tile operation was issued; `done`: it ended. */
  readonly issued: Uint8Array;
  readonly done: Uint8Array;
  tilesIssued = 0;
  readonly units: Readonly<Record<UnitKind, Units>>;

  readonly #weight: PublishedBuffer;
  readonly #activation: PublishedBuffer;
  readonly #mask: PublishedBuffer;
  readonly #memoryPointer: Pointer;
  readonly #computePointer: Pointer;
  readonly #marks: RequiredMarks;
  #windows: (Window | undefined)[];
  #memoryStalled: Uint8Array;
  #computeStalled: Uint8Array;
  /** Whether an operation was issued in this cycle, by sequence. */
  #memoryIssued = false;
  #computeIssued = false;
  readonly #newStalls = new Float64Array(STALLS.length);
  readonly #values = new Float64Array(CHANNELS.length);
  #unchanged = 0;

  constructor(
    readonly config: ElectorConfig,
    readonly program: PublishedProgram,
  ) {
    const tiles = program.operationOf.length;
    this.issued = new Uint8Array(tiles);
    this.done = new Uint8Array(tiles);
    const buffer = (name: 'activation' | 'weight' | 'mask') =>
      new PublishedBuffer({
        name,
        capacityBits: bufferBits(config, name),
        bitsPerElement: bitsPerElement(config, name),
      });
    this.#weight = buffer('weight');
    this.#activation = buffer('activation');
    this.#mask = buffer('mask');
    const longest = Math.max(1, ...program.operations.map(({ cycles }) => cycles));
    const units = (count: number) => new Units(count, longest);
    this.units = {
      macLanes: units(config.pes * config.lanesPerPe),
      layerNorm: units(config.pes),
      softmax: units(config.pes * config.softmaxPerPe),
    };
    this.#memoryPointer = new Pointer(memorySequence(program), 1);
    this.#computePointer = new Pointer(computeSequence(program), config.schedulerBatch);
    this.#marks = new RequiredMarks(program, this.#buffers);
    this.#windows = windowsAt(program, this.#computePointer);
    this.#memoryStalled = new Uint8Array(this.#memoryPointer.width);
    this.#computeStalled = new Uint8Array(this.#computePointer.width);
  }

  get #buffers(): readonly [PublishedBuffer, PublishedBuffer, PublishedBuffer] {
    return [this.#activation, this.#weight, this.#mask];
  }

  /** Runs until the last tile operation is done, whatever else still goes on, or until `failure` is set. */
  run(): void {
    const last = this.program.operationOf.length - 1;
    while (!this.done[last] && !this.failure) this.#step();
  }

  #step(): void {
    this.#newStalls.fill(0);
    this.#issueMemory();
    this.#issueCompute();
    if (this.failure) return;
    for (const units of Object.values(this.units)) units.release(this.cycle, this.done);
    this.#pass(1);
    this.#marks.update(this.done, this.#windows);
    const skipped = this.#cyclesToSkip();
    if (skipped > 1) {
      this.#pass(skipped);
      return;
    }
    this.#advance();
  }

  #issueMemory(): void {
    this.#memoryIssued = false;
    const pointer = this.#memoryPointer;
    if (pointer.ended) return;
    const step = this.program.memory[pointer.step]!;
    this.#memoryStalled.fill(0);
    if (!Array.isArray(step)) {
      this.#issueMemoryStep(step as MemoryStep, 0);
      return;
    }
    for (const head of headsInTurn(pointer.heads!)) {
      if (this.failure) return;
      if (!pointer.isFinished(head)) this.#issueMemoryStep(step[head]![pointer.heads![head]!]!, head);
    }
  }

  #issueMemoryStep(step: MemoryStep, head: number): void {
    const data: Data = { number: step.data, elements: step.elements, required: step.pinned };
    const buffer = step.buffer === 'weight' ? this.#weight : this.#activation;
    const produced = step.producer < 0 || this.done[step.producer] === 1;
    const fits = buffer.canStore(data);
    const maskFits = this.#mask.canStore(data);
    if (buffer.ready && this.#mask.ready && fits && maskFits && produced) {
      this.#begin(buffer, step, data);
      // a mask takes as many accesses as its data, and loads cost the main memory's energy again
      this.#begin(this.#mask, step, data);
      this.#memoryIssued = true;
      return;
    }
    this.#memoryStalled[head] = 1;
    if (!buffer.ready) this.#newStalls[0]!++;
    if (!this.#mask.ready) this.#newStalls[1]!++;
    if (!fits) this.#newStalls[2]!++;
    if (!maskFits) this.#newStalls[3]!++;
    if (!produced) this.#newStalls[4]!++;
  }

  #begin(buffer: PublishedBuffer, { store, elements }: MemoryStep, data: Data): void {
    const { config } = this;
    const memory = memoryCost(config.memory);
    const { publishedBitsPerCycle } = store ? BUFFER_BANDWIDTH : memory;
    const cycles = Math.ceil((elements * buffer.sizes.bitsPerElement) / publishedBitsPerCycle.value);
    const nanojoules = store
      ? (bufferAccessNanojoules(config, buffer.sizes.name) * elements) / BLOCK_WORDS
      : (memory.accessNanojoules.value * elements * (1 - config.sparsity.weight)) / BLOCK_WORDS;
    if (!buffer.begin(data, cycles, nanojoules)) this.failure ??= { kind: 'buffer', buffer, data };
  }

  #issueCompute(): void {
    this.#computeIssued = false;
    this.#computeStalled.fill(0);
    for (const [head, window] of this.#windows.entries()) {
      if (!window || this.failure) continue;
      const missing = this.#tilesWithoutData(window);
      this.#newStalls[6]! += missing;
      const units = this.units[window[0]!.operation.unit];
      const count = tilesOf(window);
      const busy = units.free < count;
      if (busy) this.#newStalls[5]!++;
      if (busy || missing > 0) this.#computeStalled[head] = 1;
      else this.#issueWindow(window, units, count);
    }
  }

  #tilesWithoutData(window: Window): number {
    let missing = 0;
    for (const { operation, count } of window) {
      if (!operation.requires.every((data) => this.#holds(data))) missing += count;
    }
    return missing;
  }

  #holds(data: number): boolean {
    return this.#activation.held(data) !== undefined || this.#weight.held(data) !== undefined;
  }

  #issueWindow(window: Window, units: Units, count: number): void {
    this.#computeIssued = true;
    const softmax = units === this.units.softmax;
    // a softmax operation takes all free units of a PE, so PEs are either free or taken as a whole
    const unitsPerTile = softmax ? this.config.softmaxPerPe : 1;
    if (units.free < count * unitsPerTile) {
      // enough units are free, but in too few PEs: the published program breaks an assertion
      this.failure = { kind: 'softmax', operations: count, freePes: units.free / unitsPerTile };
      return;
    }
    for (const { operation, first, count: tiles } of window) {
      units.occupy(tiles * unitsPerTile, this.cycle, operation.cycles, first, tiles);
      this.issued.fill(1, first, first + tiles);
      this.tilesIssued += tiles;
    }
  }

  /** Lets the buffers run and logs; units were released before, so that those which are busy have worked. */
  #pass(cycles: number): void {
    const values = this.#values;
    values[0] = this.units.macLanes.busy;
    values[1] = this.units.layerNorm.busy;
    values[2] = this.units.softmax.busy;
    for (const [index, buffer] of this.#buffers.entries()) {
      const busy = buffer.remaining > 0;
      values[3 + 3 * index] = buffer.usedBits;
      values[4 + 3 * index] = busy ? 1 : 0;
      values[5 + 3 * index] = busy ? buffer.nanojoulesPerCycle : 0;
      buffer.tick(cycles);
    }
    this.log.add(values, cycles);
    this.cycle += cycles;
    for (let cause = 0; cause < STALLS.length; cause++) this.stalls[cause]! += this.#newStalls[cause]! * cycles;
  }

  /** When everything waits for the buffers: cycles until the first of them is ready. */
  #cyclesToSkip(): number {
    if (this.#memoryPointer.ended || this.#memoryIssued || this.#computeIssued) return 0;
    for (const units of Object.values(this.units)) if (units.busy > 0) return 0;
    let cycles = Number.POSITIVE_INFINITY;
    for (const { remaining } of this.#buffers) if (remaining > 0) cycles = Math.min(cycles, remaining);
    return cycles === Number.POSITIVE_INFINITY ? 0 : cycles;
  }

  #advance(): void {
    const memoryMoved = this.#memoryPointer.advance(this.#memoryStalled);
    const computeMoved = this.#computePointer.advance(this.#computeStalled);
    if (memoryMoved && this.#memoryStalled.length !== this.#memoryPointer.width) {
      this.#memoryStalled = new Uint8Array(this.#memoryPointer.width);
    }
    if (computeMoved) {
      this.#windows = windowsAt(this.program, this.#computePointer);
      this.#computeStalled = new Uint8Array(this.#computePointer.width);
    }
    this.#watch(memoryMoved || computeMoved);
  }

  /** Nothing moves, nothing runs: the next cycle will be like this one. */
  #watch(moved: boolean): void {
    const busy = Object.values(this.units).some((units) => units.busy > 0) || this.#buffers.some(({ ready }) => !ready);
    this.#unchanged = moved || busy ? 0 : this.#unchanged + 1;
    if (this.#unchanged === CYCLES_WITHOUT_CHANGE) this.failure = this.#deadlock();
  }

  #deadlock(): Failure {
    const missing = new Set<number>();
    let tooWide: { operations: number; units: number } | undefined;
    for (const window of this.#windows) {
      if (!window) continue;
      const units = this.units[window[0]!.operation.unit].total;
      const operations = tilesOf(window);
      if (operations > units) tooWide ??= { operations, units };
      for (const { operation } of window) {
        for (const data of operation.requires) if (!this.#holds(data)) missing.add(data);
      }
    }
    return { kind: 'deadlock', cycle: this.cycle - CYCLES_WITHOUT_CHANGE, tooWide, missing: [...missing] };
  }
}

function tilesOf(window: Window): number {
  let count = 0;
  for (const part of window) count += part.count;
  return count;
}

/**
 * Heads by position, the least advanced first. The published program sorts the active heads and takes their ranks for
 * head numbers, so that once a head is finished, the highest numbers have no turn.
 */
function headsInTurn(heads: Int32Array): number[] {
  const active = Array.from(heads).filter((position) => position >= 0);
  if (active.length <= 1) return Array.from(heads.keys());
  return Array.from(active.keys()).sort((a, b) => active[a]! - active[b]! || a - b);
}

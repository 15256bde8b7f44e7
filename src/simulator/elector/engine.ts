/**
 * ELECTOR, corrected: plays a program on the machine, event by event. Operations start when their operands are in the
 * buffers and there is room for their result; what they take on the units is said by `OperationCosts`, tile by tile or
 * in closed form. Main memory works ahead of the units as far as the buffers allow.
 */
import { Buffers, type Footprint, type Room } from './buffers.js';
import type { ElectorConfig } from './config.js';
import { type Bandwidth, BUFFER_BANDWIDTH, type BufferName, memoryCost } from './constants.js';
import { timedMainMemory, trafficOf } from './main-memory.js';
import { isAbsent, isThere, MatrixState, streams } from './matrix-state.js';
import type { Operation, Program } from './operations.js';
import type { Misfit, Played, PlayedOperation, Transfer } from './played.js';
import { finish } from './stepwise.js';
import type { OperationCosts } from './tile-costs.js';

/** Bits that a path moves in a cycle: the published bytes a second, at 8 bits a byte. */
export const bitsPerCycle = ({ gigabytesPerSecond }: Bandwidth, clockHertz: number): number =>
  (gigabytesPerSecond.value * 2 ** 30 * 8) / clockHertz;

/** Operations ahead of the units for which something has to leave. More made training slower in trials. */
const EVICTS_AHEAD = 16;

interface Event {
  readonly cycle: number;
  readonly apply: () => void;
}

export interface PlayOptions {
  /** The embedding lies in its buffer already, as after an earlier batch. */
  readonly embeddingResident?: boolean;
  /** Other weights that do, by name. */
  readonly held?: readonly string[];
  /** Weights stay where they are after their last use, as long as there is room: another batch of the same model follows. */
  readonly keepWeights?: boolean;
}

export function play(
  program: Program,
  config: ElectorConfig,
  costs: OperationCosts,
  options: PlayOptions = {},
): Played | Misfit {
  return finish(playSteps(program, config, costs, options));
}

/** The same in steps, one for each event. */
export function playSteps(
  program: Program,
  config: ElectorConfig,
  costs: OperationCosts,
  options: PlayOptions = {},
): Generator<void, Played | Misfit> {
  return new Engine(program, config, costs, options).run();
}

class Engine {
  readonly #states: MatrixState[];
  /** By operation. */
  readonly #touched: readonly (readonly MatrixState[])[];
  readonly #buffers: Buffers;
  /** In a buffer, and not needed there by an admitted operation. */
  readonly #evictable = new Set<MatrixState>();
  readonly #events: Event[] = [];
  readonly #played: PlayedOperation[] = [];
  readonly #transfers: Transfer[] = [];
  readonly #missing: Int32Array;
  readonly #admittedAt: Float64Array;
  readonly #portFree: Record<'activation' | 'weight', number> = { activation: 0, weight: 0 };
  /** Largest part of a weight that lies in the buffers at once, so that there is room for the next one. */
  readonly #window: Footprint;
  readonly #bufferRate: number;
  /** Cycles that main memory takes for a matrix, or a part of it. */
  readonly #memoryCycles: (part: Footprint, direction: Transfer['direction']) => number;
  #memoryFree = 0;
  #next = 0;
  /** Operations that have got their room and are not done. */
  #unfinished = 0;
  #now = 0;
  #leaving: Room = { activation: 0, weight: 0, mask: 0 };

  constructor(
    readonly program: Program,
    config: ElectorConfig,
    readonly costs: OperationCosts,
    readonly options: PlayOptions,
  ) {
    const { clockHertz } = config.technology;
    this.#bufferRate = bitsPerCycle(BUFFER_BANDWIDTH, clockHertz);
    const timed = timedMainMemory(config);
    const rate = bitsPerCycle(memoryCost(config.memory), clockHertz);
    this.#memoryCycles = (part, direction) =>
      timed ? timed.cycles(trafficOf(part, direction)) : Math.ceil((part.data + part.mask) / rate);
    this.#buffers = new Buffers(config);
    this.#missing = new Int32Array(program.operations.length);
    this.#admittedAt = new Float64Array(program.operations.length);
    this.#states = program.matrices.map((matrix) => new MatrixState(matrix, costs, config.sparsityModules));
    this.#touched = program.operations.map(({ touches }) => touches.map(({ id }) => this.#states[id]!));
    const embedding = this.#states[program.embedding.id]!.size;
    const { weight, mask } = this.#buffers.size;
    const share = (size: number, taken: number, parts: number) => Math.floor(Math.max(0, size - taken) / parts);
    this.#window = { data: share(weight, embedding.data, 2), mask: share(mask, embedding.mask, 4) };
    for (const { id, touches, writes } of program.operations) {
      for (const matrix of touches) this.#states[matrix.id]!.users.push(id);
      this.#states[writes.id]!.writersLeft++;
    }
  }

  *run(): Generator<void, Played | Misfit> {
    const { embeddingResident = false } = this.options;
    const held = new Set(this.options.held);
    const embedding = this.#states[this.program.embedding.id]!;
    // It stays for as long as the machine runs.
    this.#pin(embedding);
    const misfit = this.#misfit(this.#roomFor([embedding]), 'embedding');
    if (misfit) return misfit;
    if (embeddingResident) {
      this.#buffers.reserve(embedding.matrix, embedding.room);
      this.#fill(embedding, 0);
      embedding.place = 'buffer';
    }
    for (const state of this.#states) if (held.has(state.matrix.name)) this.#hold(state);
    const { operations } = this.program;
    for (;;) {
      this.#admit();
      const event = this.#events.shift();
      if (event) {
        this.#now = event.cycle;
        event.apply();
        yield;
      } else if (this.#next === operations.length) break;
      else return this.#stuck();
    }
    const { size, free } = this.#buffers;
    const left = (name: BufferName) => size[name] - free[name];
    const weights = this.#states.filter(({ matrix, place }) => matrix.stored && place === 'buffer');
    return {
      cycles: this.#now,
      operations: this.#played,
      transfers: this.#transfers,
      fills: this.#buffers.changes,
      bufferBits: size,
      resident: { activation: left('activation'), weight: left('weight'), mask: left('mask') },
      held: weights.map(({ matrix }) => matrix.name),
    };
  }

  /** Gives room to operations in program order; one that does not fit holds up those behind it, so that it will. */
  #admit(): void {
    const { operations } = this.program;
    while (this.#next < operations.length) {
      const operation = operations[this.#next]!;
      const states = this.#touched[this.#next]!;
      // What is on its way out comes back once it is gone; what streams by for another operation comes anew.
      if (states.some((state) => state.place === 'leaving' || (state.pins > 0 && streams(state)))) return;
      for (const state of states) this.#pin(state);
      if (!this.#makeRoom(this.#roomFor(states, isAbsent))) {
        for (const state of states) this.#unpin(state);
        return;
      }
      for (const state of states) if (isAbsent(state)) this.#bring(state);
      this.#admittedAt[operation.id] = this.#now;
      const missing = this.#await(operation);
      this.#missing[operation.id] = missing;
      this.#next++;
      this.#unfinished++;
      if (missing === 0) this.#start(operation);
    }
  }

  #bring(state: MatrixState): void {
    this.#buffers.reserve(state.matrix, state.room);
    if (state.place === 'memory') {
      state.place = 'arriving';
      this.#transfer(state, 'load', () => this.#arrived(state));
      return;
    }
    state.place = 'buffer';
    // What nobody writes is simply there.
    if (state.writersLeft === 0) this.#fill(state, this.#now);
  }

  #fill(state: MatrixState, cycle: number): void {
    if (state.filled) return;
    state.filled = true;
    this.#buffers.fill(state.matrix, state.room, cycle);
  }

  #give(state: MatrixState): void {
    state.filled = false;
    this.#buffers.give(state.matrix, state.room, this.#now);
  }

  /**
   * Frees what is needed furthest in the future (Belady) until `room` is there. Further ahead of the units it waits for
   * what they give back instead. @returns whether there is room
   */
  #makeRoom(room: Room): boolean {
    for (const buffer of ['activation', 'weight', 'mask'] as const) {
      while (this.#buffers.free[buffer] + this.#leaving[buffer] < room[buffer]) {
        const victim = this.#victim(buffer);
        if (!victim) return false;
        const done = victim.usesDone === victim.users.length;
        if (this.#unfinished > EVICTS_AHEAD && !done) return false;
        this.#evict(victim);
      }
    }
    const { free } = this.#buffers;
    return free.activation >= room.activation && free.weight >= room.weight && free.mask >= room.mask;
  }

  #victim(buffer: BufferName): MatrixState | undefined {
    let best: MatrixState | undefined;
    let furthest = -1;
    for (const state of this.#evictable) {
      if (buffer !== 'mask' && state.matrix.buffer !== buffer) continue;
      const next = this.#nextUse(state);
      if (next > furthest) [best, furthest] = [state, next];
    }
    return best;
  }

  /** Position in the program, or in the next batch's. */
  #nextUse({ users, usesDone, matrix }: MatrixState): number {
    const again = matrix.stored ? users[0]! + this.program.operations.length : Number.POSITIVE_INFINITY;
    return users[usesDone] ?? again;
  }

  /** A weight from the batch before, if all of it has room. */
  #hold(state: MatrixState): void {
    if (state.place !== 'memory' || !this.#makeRoom(this.#roomFor([state])) || state.room.data < state.size.data)
      return;
    this.#buffers.reserve(state.matrix, state.room);
    this.#fill(state, 0);
    state.place = 'buffer';
    this.#evictable.add(state);
  }

  #pin(state: MatrixState): void {
    state.pins++;
    this.#evictable.delete(state);
  }

  #unpin(state: MatrixState): void {
    if (--state.pins === 0 && state.place === 'buffer') this.#evictable.add(state);
  }

  #evict(state: MatrixState): void {
    this.#evictable.delete(state);
    if (state.clean) {
      state.place = 'memory';
      this.#give(state);
      return;
    }
    const { buffer } = state.matrix;
    const { data, mask } = state.room;
    state.place = 'leaving';
    this.#leaving[buffer] += data;
    this.#leaving.mask += mask;
    this.#transfer(state, 'store', () => {
      state.clean = true;
      state.place = 'memory';
      this.#leaving[buffer] -= data;
      this.#leaving.mask -= mask;
      this.#give(state);
    });
  }

  /** One transfer after the other, in the order in which they are asked for. */
  #transfer(state: MatrixState, direction: Transfer['direction'], apply: () => void): void {
    const { matrix, size, room } = state;
    const start = Math.max(this.#now, this.#memoryFree);
    const end = start + this.#memoryCycles(size, direction);
    this.#memoryFree = end;
    this.#transfers.push({ matrix, direction, size, start, end });
    // Work on a window begins as soon as it is filled, and cannot end before the last of the matrix has come.
    if (direction === 'load') {
      state.streamedUntil = end;
      this.#fill(state, start);
    }
    this.#at(direction === 'load' ? Math.min(end, start + this.#memoryCycles(room, direction)) : end, apply);
  }

  /** @returns how many matrices the operation has to wait for */
  #await({ id, reads, writes }: Operation): number {
    let missing = 0;
    for (const { id: matrix } of reads) {
      const state = this.#states[matrix]!;
      if (isThere(state)) continue;
      state.waitingReaders.push(id);
      missing++;
    }
    const result = this.#states[writes.id]!;
    if (result.place === 'buffer') return missing;
    // A sum that had to leave comes back before more is added to it.
    result.waitingWriters.push(id);
    return missing + 1;
  }

  #arrived(state: MatrixState): void {
    state.place = 'buffer';
    if (state.pins === 0) this.#evictable.add(state);
    const writers = state.waitingWriters;
    state.waitingWriters = [];
    this.#release(writers);
    this.#wake(state);
  }

  #wake(state: MatrixState): void {
    if (state.waitingReaders.length === 0 || !isThere(state)) return;
    const readers = state.waitingReaders;
    state.waitingReaders = [];
    this.#release(readers);
  }

  #release(waiting: readonly number[]): void {
    for (const id of waiting) if (--this.#missing[id]! === 0) this.#start(this.program.operations[id]!);
  }

  #start(operation: Operation): void {
    const ready = this.#now;
    const dispatch = this.costs.dispatch(operation, ready);
    const state = this.#states[operation.writes.id]!;
    const { buffer } = operation.writes;
    // Results are written while they are made; a buffer takes those of one operation after the other.
    this.#fill(state, dispatch.start);
    const writing = Math.max(dispatch.start, this.#portFree[buffer]);
    const written = writing + Math.ceil(state.size.data / this.#bufferRate);
    this.#portFree[buffer] = written;
    const streamed = operation.reads.reduce((last, { id }) => Math.max(last, this.#states[id]!.streamedUntil), 0);
    const done = Math.max(dispatch.end, written, streamed);
    const admitted = this.#admittedAt[operation.id]!;
    this.#played.push({ operation, dispatch, admitted, ready, done, written: state.size });
    this.#at(done, () => this.#finish(operation));
  }

  #finish({ writes, touches }: Operation): void {
    this.#unfinished--;
    for (const { id } of touches) {
      this.#states[id]!.usesDone++;
      this.#unpin(this.#states[id]!);
    }
    const result = this.#states[writes.id]!;
    result.writersLeft--;
    result.clean = false;
    this.#wake(result);
    for (const { id } of touches) this.#drop(this.#states[id]!);
  }

  /**
   * What nobody uses any more gives its room back; what must last goes to main memory first. Of what streamed through a
   * window no more is there than its end: the next user needs it again.
   */
  #drop(state: MatrixState): void {
    if (state.pins > 0 || state.place !== 'buffer') return;
    if (state.usesDone < state.users.length) {
      if (streams(state)) this.#evict(state);
      return;
    }
    const stays = this.options.keepWeights && state.matrix.stored && !streams(state);
    if (state.matrix.kept && !state.clean) this.#evict(state);
    else if (!stays) {
      state.place = 'nowhere';
      this.#evictable.delete(state);
      this.#give(state);
    }
    this.costs.release(state.matrix);
  }

  /** Events in order of time, and of insertion among equal times. */
  #at(cycle: number, apply: () => void): void {
    let [low, high] = [0, this.#events.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#events[middle]!.cycle <= cycle) low = middle + 1;
      else high = middle;
    }
    this.#events.splice(low, 0, { cycle, apply });
  }

  /**
   * Nothing moves and the next operation does not fit: beside the embedding it needs more than there is. What is asked for
   * is enough for every operation.
   */
  #stuck(): Misfit {
    const embedding = this.#states[this.program.embedding.id]!;
    const demands = this.program.operations.slice(this.#next).map(({ name, touches }) => {
      const room = this.#roomFor([...new Set([embedding, ...touches.map(({ id }) => this.#states[id]!)])]);
      for (const matrix of touches) this.costs.release(matrix);
      return { name, room };
    });
    const { buffer } = this.#misfit(demands[0]!.room, demands[0]!.name)!;
    const most = demands.reduce((a, b) => (b.room[buffer] > a.room[buffer] ? b : a));
    const boundBits = this.#buffers.size[buffer];
    return { buffer, demandBits: most.room[buffer], boundBits, operation: most.name };
  }

  #roomFor(states: readonly MatrixState[], counts: (state: MatrixState) => boolean = () => true): Room {
    const room: Room = { activation: 0, weight: 0, mask: 0 };
    for (const state of states) {
      if (!counts(state)) continue;
      state.room = this.#roomOf(state);
      room[state.matrix.buffer] += state.room.data;
      room.mask += state.room.mask;
    }
    return room;
  }

  #roomOf({ matrix, size, place, room }: MatrixState): Footprint {
    if (place !== 'nowhere' && place !== 'memory') return room;
    if (matrix.buffer !== 'weight' || matrix === this.program.embedding) return size;
    return { data: Math.min(size.data, this.#window.data), mask: Math.min(size.mask, this.#window.mask) };
  }

  #misfit(room: Room, operation: string): Misfit | undefined {
    const { size } = this.#buffers;
    const buffer = (['weight', 'activation', 'mask'] as const).find((name) => room[name] > size[name]);
    return buffer && { buffer, demandBits: room[buffer], boundBits: size[buffer], operation };
  }
}

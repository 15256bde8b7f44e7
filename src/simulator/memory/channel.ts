/**
 * One channel: queues of reads and writes, and a scheduler that issues commands first-ready, first-come, first-served
 * (FR-FCFS). Time jumps from one command to the next. At each step, of all commands that waiting requests need, the one
 * that may go first goes; at the same time refresh before reads and writes, these before activates and precharges, and
 * older requests before younger ones.
 *
 * Requests enter in their order; one that finds its queue full holds back those behind it. A read of what waits to be
 * written is served from the queue, a write to a burst that waits to be written replaces it, and a write waits for older
 * reads of its burst.
 *
 * `channel-reference.ts` does the same cycle by cycle, asking `command-checker.ts` what may go.
 */
import { BankState } from './bank-state.js';
import { ChannelCounts } from './channel-counts.js';
import type { Command, CommandKind } from './commands.js';
import { burstCycles, type DramConfig } from './dram-config.js';
import { type Request, RequestQueue, type Waiting } from './request-queue.js';
import { WriteDrain } from './write-drain.js';

/** What may happen next, the most urgent first. AGE: nothing goes, but a request has become old, which changes what may. */
const AGE = 0;
const REFRESH = 1;
const COLUMN = 2;
const ROW = 3;
const NOTHING = 4;

/** A request, and how old it was when its last data had passed. */
export type Served = (request: Request, latency: number) => void;

export class DramChannel {
  readonly counts = new ChannelCounts();
  readonly #config: DramConfig;
  readonly #state: BankState;
  readonly #served: Served;
  readonly #log: Command[] | undefined;
  readonly #burst: number;
  readonly #reads: RequestQueue;
  readonly #writes: RequestQueue;
  readonly #drain: WriteDrain;
  readonly #refreshDue: number[];
  /** The first of them. */
  #firstDue: number;
  readonly #activeSince: number[];
  #now = 0;
  #requests = 0;
  /** The next step, while nothing has come in between: when, what, for which request and rank. */
  #known = false;
  #time = 0;
  #kind = NOTHING;
  #next: Waiting | undefined;
  #rank = 0;

  /** @param log where commands go, if anywhere */
  constructor(config: DramConfig, served: Served = () => {}, log?: Command[]) {
    this.#config = config;
    this.#state = new BankState(config);
    this.#served = served;
    this.#log = log;
    this.#burst = burstCycles(config);
    this.#reads = new RequestQueue(this.#state.openRow.length);
    this.#writes = new RequestQueue(this.#state.openRow.length);
    this.#drain = new WriteDrain(config);
    const { ranks } = config.organisation;
    const { refi } = config.timing;
    // Ranks refresh one after the other, not together.
    this.#refreshDue = Array.from({ length: ranks }, (_, rank) => Math.ceil((refi * (rank + 1)) / ranks));
    this.#firstDue = this.#refreshDue[0]!;
    this.#activeSince = new Array(ranks).fill(0);
  }

  /** Lets a request in, after all commands that go before it comes. */
  enqueue(request: Request): void {
    const { write, arrival, bank, row, column } = request;
    const number = this.#requests++;
    this.#advance(arrival);
    if (this.#writes.size > 0) {
      const pending = this.#writes.sameBurst(request);
      if (pending !== undefined) {
        this.#serveFromQueue(request);
        return;
      }
    }
    if (write) while (this.#reads.sameBurst(request) !== undefined) this.#advanceOne();
    const queue = write ? this.#writes : this.#reads;
    const { readQueue, writeQueue } = this.#config.controller;
    const most = write ? writeQueue : readQueue;
    while (queue.size >= most) this.#advanceOne();
    const entered = this.#now;
    const waiting = {
      arrival,
      write,
      bank,
      row,
      column,
      number,
      entered,
      opened: false,
      conflicted: false,
      served: false,
    };
    const [had, first] = [queue.has(bank), queue.size === 0];
    const hit = queue.hitOf(bank);
    queue.add(waiting, this.#state.openRow[bank]!);
    if (this.#known) this.#reconsider(queue, waiting, { first, changes: !had, hits: hit !== queue.hitOf(bank) });
  }

  /** What goes next stays known after a request has come, if that is behind others and no turn is due. */
  #reconsider(
    queue: RequestQueue,
    { bank }: Waiting,
    { first, changes, hits }: { first: boolean; changes: boolean; hits: boolean },
  ): void {
    if (first || this.#drain.turns(this.#reads, this.#writes, this.#now)) this.#known = false;
    else if (queue !== (this.#drain.isWriting ? this.#writes : this.#reads)) return;
    else if (changes) this.#offerBank(queue, bank, undefined);
    // A row that was to be closed may now be wanted.
    else if (hits) this.#known = false;
  }

  /** Serves everything that waits. */
  drain(): void {
    while (this.#reads.size + this.#writes.size > 0) this.#advanceOne();
  }

  /** Refreshes until a time, and counts how long rows were open until then. */
  finish(end: number): void {
    this.#advance(end);
    for (const [rank, open] of this.#state.openBanks.entries()) {
      if (open > 0) this.counts.activeCycles += end - this.#activeSince[rank]!;
      this.counts.openBanks += open;
    }
  }

  /** A write that waits holds the same bytes, or those that this one replaces. */
  #serveFromQueue(request: Request): void {
    const done = this.#now + 1;
    this.counts.end = Math.max(this.counts.end, done);
    if (request.write) this.counts.merged++;
    else this.counts.forwarded++;
    this.#served(request, done - request.arrival);
  }

  /** Does everything that goes before `until`. */
  #advance(until: number): void {
    if (until <= this.#now) return;
    for (;;) {
      if (this.#reads.size + this.#writes.size === 0) this.#skipIdle(until);
      if (!this.#known) this.#decide();
      if (this.#time >= until) break;
      this.#execute();
    }
    this.#now = until;
  }

  /** Goes on to the cycle after the next command. */
  #advanceOne(): void {
    if (!this.#known) this.#decide();
    this.#advance(this.#time + 1);
  }

  /** Refreshes of a channel without requests and open rows, counted at once. */
  #skipIdle(until: number): void {
    if (until <= this.#firstDue || this.#log !== undefined) return;
    const { refi } = this.#config.timing;
    for (const [rank, due] of this.#refreshDue.entries()) {
      // The last two are played, so that what they hold back is known.
      const skipped = Math.floor((until - due) / refi) - 2;
      if (skipped <= 0 || this.#state.openBanks[rank]! > 0) continue;
      this.counts.refreshes += skipped;
      this.#dueAgain(rank, due + skipped * refi);
    }
  }

  #dueAgain(rank: number, time: number): void {
    this.#refreshDue[rank] = time;
    this.#firstDue = Math.min(...this.#refreshDue);
    this.#known = false;
  }

  #decide(): void {
    const writing = this.#drain.choose(this.#reads, this.#writes, this.#now);
    this.#time = Number.POSITIVE_INFINITY;
    this.#kind = NOTHING;
    this.#next = undefined;
    const queue = writing ? this.#writes : this.#reads;
    if (queue.size > 0) {
      const { oldest } = queue;
      const old = oldest.entered + this.#config.controller.starvationCycles;
      const starved = this.#now >= old ? oldest : undefined;
      for (let i = 0; i < queue.bankCount; i++) this.#offerBank(queue, queue.banks[i]!, starved);
      if (starved === undefined) this.#offer(old, AGE, undefined, 0);
    }
    if (!writing && this.#writes.size > 0) {
      const old = this.#writes.oldest.entered + this.#config.controller.starvationCycles;
      if (old > this.#now) this.#offer(old, AGE, undefined, 0);
    }
    if (this.#time >= this.#firstDue) this.#offerRefreshes();
    this.#known = true;
  }

  /** @param starved the oldest request of all, when it is old: its bank works for it alone */
  #offerBank(queue: RequestQueue, bank: number, starved: Waiting | undefined): void {
    const state = this.#state;
    const openRow = state.openRow[bank]!;
    const request = starved?.bank === bank ? starved : (queue.hitOf(bank) ?? queue.oldestOf(bank));
    const rank = state.rankOf(bank);
    if (request.row === openRow) this.#offer(state.columnAt(bank, request.write), COLUMN, request, rank);
    else this.#offer(openRow < 0 ? state.activateAt(bank) : state.prechargeAt(bank), ROW, request, rank);
  }

  #offerRefreshes(): void {
    const state = this.#state;
    for (let rank = 0; rank < state.ranks; rank++) {
      const ready = state.openBanks[rank]! > 0 ? state.prechargeAllAt(rank) : state.refreshAt(rank);
      this.#offer(Math.max(ready, this.#refreshDue[rank]!), REFRESH, undefined, rank);
    }
  }

  #offer(ready: number, kind: number, request: Waiting | undefined, rank: number): void {
    const time = Math.max(ready, this.#now);
    if (time > this.#time) return;
    // A rank that is due for refresh does nothing else.
    if (request !== undefined && time >= this.#refreshDue[rank]!) return;
    if (time === this.#time) {
      if (kind > this.#kind) return;
      if (kind === this.#kind && (request === undefined || request.number > this.#next!.number)) return;
    }
    this.#time = time;
    this.#kind = kind;
    this.#next = request;
    this.#rank = rank;
  }

  #execute(): void {
    this.#now = this.#time;
    this.#known = false;
    if (this.#kind === REFRESH) this.#refresh(this.#rank);
    else if (this.#kind === COLUMN) this.#column(this.#next!);
    else if (this.#kind === ROW) this.#row(this.#next!);
  }

  #refresh(rank: number): void {
    const [state, time] = [this.#state, this.#time];
    if (state.openBanks[rank]! > 0) {
      this.counts.precharges += state.openBanks[rank]!;
      state.prechargeAll(rank, time);
      for (let bank = rank * state.banksPerRank; bank < (rank + 1) * state.banksPerRank; bank++) this.#rowIs(bank, -1);
      this.#closed(rank);
      this.#note('PREA', undefined);
      return;
    }
    state.refresh(rank, time);
    this.counts.refreshes++;
    this.#note('REF', undefined);
    this.#dueAgain(rank, this.#refreshDue[rank]! + this.#config.timing.refi);
  }

  #row(request: Waiting): void {
    const [state, time, { bank, row }] = [this.#state, this.#time, request];
    if (state.openRow[bank]! >= 0) {
      request.conflicted = true;
      this.counts.precharges++;
      state.precharge(bank, time);
      this.#rowIs(bank, -1);
      this.#closed(this.#rank);
      this.#note('PRE', request);
      return;
    }
    if (state.openBanks[this.#rank] === 0) this.#activeSince[this.#rank] = time;
    request.opened = true;
    this.counts.activates++;
    state.activate(bank, row, time);
    this.#rowIs(bank, row);
    this.#note('ACT', request);
  }

  #column(request: Waiting): void {
    const { bank, write } = request;
    (write ? this.#writes : this.#reads).remove(request);
    this.#drain.served(write);
    const closes = this.#config.controller.pagePolicy === 'closed' && !this.#isWanted(bank);
    const dataEnd = this.#state.column(bank, write, closes, this.#time);
    this.counts.serve(request, dataEnd, this.#burst);
    this.#served(request, dataEnd - request.arrival);
    this.#note(write ? (closes ? 'WRA' : 'WR') : closes ? 'RDA' : 'RD', request);
    if (!closes) return;
    this.counts.precharges++;
    this.#rowIs(bank, -1);
    this.#closed(this.#rank);
  }

  /** Whether a request waits for the open row. */
  #isWanted(bank: number): boolean {
    return this.#reads.hitOf(bank) !== undefined || this.#writes.hitOf(bank) !== undefined;
  }

  #rowIs(bank: number, row: number): void {
    this.#reads.rowIs(bank, row);
    this.#writes.rowIs(bank, row);
  }

  /** After a bank of the rank has closed. */
  #closed(rank: number): void {
    if (this.#state.openBanks[rank] === 0) this.counts.activeCycles += this.#time - this.#activeSince[rank]!;
  }

  #note(kind: CommandKind, request: Waiting | undefined): void {
    if (this.#log === undefined) return;
    const [time, rank] = [this.#time, this.#rank];
    if (request === undefined) this.#log.push({ time, kind, rank });
    else this.#log.push({ time, kind, rank, bank: request.bank, row: request.row, request: request.number });
  }
}

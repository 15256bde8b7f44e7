/** Requests of one direction that wait in a channel, by bank, each bank's in their order. */

/** A burst to read or write. */
export interface Request {
  /** Cycle at which it was made; not before that of the request before it. */
  readonly arrival: number;
  readonly write: 0 | 1;
  /** Number of the bank in its channel: rank, group, bank. */
  readonly bank: number;
  readonly row: number;
  readonly column: number;
}

export interface Waiting extends Request {
  /** Its place in the order of requests. */
  readonly number: number;
  /** When it entered its queue. */
  readonly entered: number;
  /** What its row needed so far: an activate; a precharge before. */
  opened: boolean;
  conflicted: boolean;
  served: boolean;
}

export class RequestQueue {
  size = 0;
  /** Banks that requests wait for, in no order; the first `bankCount` of them. */
  readonly banks: Int32Array;
  bankCount = 0;
  readonly #waiting: readonly Waiting[][];
  /** Of each bank, the oldest request for its open row. */
  readonly #hit: (Waiting | undefined)[];
  readonly #position: Int32Array;
  /** All requests in their order, served ones among them until they come first. */
  readonly #order: Waiting[] = [];
  #first = 0;

  constructor(banks: number) {
    this.banks = new Int32Array(banks);
    this.#position = new Int32Array(banks);
    this.#waiting = Array.from({ length: banks }, () => []);
    this.#hit = new Array(banks).fill(undefined);
  }

  /** The oldest request; there must be one. */
  get oldest(): Waiting {
    while (this.#order[this.#first]!.served) this.#first++;
    if (this.#first > 1024) {
      this.#order.splice(0, this.#first);
      this.#first = 0;
    }
    return this.#order[this.#first]!;
  }

  oldestOf(bank: number): Waiting {
    return this.#waiting[bank]![0]!;
  }

  hitOf(bank: number): Waiting | undefined {
    return this.#hit[bank];
  }

  has(bank: number): boolean {
    return this.#waiting[bank]!.length > 0;
  }

  add(request: Waiting, openRow: number): void {
    const { bank, row } = request;
    const list = this.#waiting[bank]!;
    if (list.length === 0) {
      this.#position[bank] = this.bankCount;
      this.banks[this.bankCount++] = bank;
    }
    list.push(request);
    this.#order.push(request);
    this.size++;
    if (row === openRow && this.#hit[bank] === undefined) this.#hit[bank] = request;
  }

  remove(request: Waiting): void {
    const { bank, row } = request;
    const list = this.#waiting[bank]!;
    list.splice(list.indexOf(request), 1);
    request.served = true;
    this.size--;
    if (list.length === 0) {
      const last = this.banks[--this.bankCount]!;
      this.banks[this.#position[bank]!] = last;
      this.#position[last] = this.#position[bank]!;
    }
    if (this.#hit[bank] === request) this.rowIs(bank, row);
  }

  /** The bank's open row has changed; −1: none. */
  rowIs(bank: number, openRow: number): void {
    this.#hit[bank] = openRow < 0 ? undefined : this.#waiting[bank]!.find(({ row }) => row === openRow);
  }

  /** The request for the same burst, if one waits. */
  sameBurst({ bank, row, column }: Request): Waiting | undefined {
    return this.#waiting[bank]!.find((other) => other.column === column && other.row === row);
  }
}

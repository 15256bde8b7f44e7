/** A global buffer as the published cycle model has it: one transfer at a time, data leave in the order they came. */
import type { BufferName } from './constants.js';

/** A matrix in the buffers. The data buffer and the mask buffer share the object, and so the mark. */
export interface Data {
  readonly number: number;
  readonly elements: number;
  /** May not leave. */
  required: boolean;
}

export interface BufferSizes {
  readonly name: BufferName;
  readonly capacityBits: number;
  readonly bitsPerElement: number;
}

export class PublishedBuffer {
  usedBits = 0;
  ready = true;
  /** Cycles until the transfer ends. */
  remaining = 0;
  /** Of the transfer, nJ. */
  nanojoulesPerCycle = 0;
  /** In the order they came. */
  #entries: Data[] = [];
  readonly #byNumber = new Map<number, Data>();
  #incoming: Data | undefined;

  constructor(readonly sizes: BufferSizes) {}

  /** Data whose transfer has finished. */
  held(number: number): Data | undefined {
    return this.#incoming?.number === number ? undefined : this.#byNumber.get(number);
  }

  canStore({ elements }: Data): boolean {
    const { capacityBits, bitsPerElement } = this.sizes;
    if (capacityBits - this.usedBits >= elements * bitsPerElement) return true;
    let required = 0;
    for (const entry of this.#entries) if (entry.required) required += entry.elements;
    // the published program compares with the data that came last, not with the new data
    const last = this.#entries.at(-1)!;
    return capacityBits - required * bitsPerElement > last.elements * bitsPerElement;
  }

  /**
   * Begins a transfer, which takes no time when the data are there. False if data that may not leave are in the way.
   * @param nanojoules Of the whole transfer
   */
  begin(data: Data, cycles: number, nanojoules: number): boolean {
    if (this.held(data.number)) return true;
    if (!this.#makeRoom(data)) return false;
    this.#entries.push(data);
    this.#byNumber.set(data.number, data);
    this.usedBits += data.elements * this.sizes.bitsPerElement;
    this.#incoming = data;
    this.remaining = cycles;
    this.nanojoulesPerCycle = nanojoules / cycles;
    this.ready = false;
    return true;
  }

  /** Lets cycles pass, at most until the end of the transfer. */
  tick(cycles: number): void {
    this.remaining = Math.max(this.remaining - cycles, 0);
    this.ready = this.remaining === 0;
    if (this.ready) this.#incoming = undefined;
  }

  #makeRoom({ elements }: Data): boolean {
    const { capacityBits, bitsPerElement } = this.sizes;
    const fits = () => this.usedBits + elements * bitsPerElement <= capacityBits;
    if (fits()) return true;
    this.#entries = this.#entries.filter((entry) => {
      if (entry.required || fits()) return true;
      this.usedBits -= entry.elements * bitsPerElement;
      this.#byNumber.delete(entry.number);
      return false;
    });
    return fits();
  }
}

import { wasmBase64 } from './light-embedding.generated.js';
import { rowScales } from './light-embedding-reference.js';

interface Exports {
  prepare(values: number, groups: number, table: number): void;
  scores(signs: number, pairs: number, blocks: number, table: number, scales: number, out: number): void;
}

const module = new WebAssembly.Module(Buffer.from(wasmBase64, 'base64'));

const PAGE = 65_536;
/** The kernel's stack-free code has no data of its own; address 0 stays unused. */
const HEAP = 1024;
const ROWS = 16;
/** Dimensions of a byte of signs. */
const PAIR = 8;

/** The signs of an output embedding, one bit a weight, and the sums of states under them. */
export class LightScores {
  readonly #wasm: Exports;
  readonly #values: Int16Array;
  readonly #scores: Float32Array;
  readonly #at: { readonly values: number; readonly table: number; readonly signs: number; readonly scales: number };
  readonly #pairs: number;
  readonly #blocks: number;

  /** @param words [vocabulary, hidden] */
  constructor(words: Float32Array, hidden: number) {
    const vocabulary = words.length / hidden;
    this.#pairs = Math.ceil(hidden / PAIR);
    this.#blocks = Math.ceil(vocabulary / ROWS);
    let end = HEAP;
    const place = (bytes: number) => {
      const start = end;
      end += Math.ceil(bytes / 16) * 16;
      return start;
    };
    const rows = this.#blocks * ROWS;
    const values = place(2 * PAIR * this.#pairs);
    const table = place(64 * this.#pairs);
    const signs = place(rows * this.#pairs);
    const scales = place(4 * rows);
    const scores = place(4 * rows);
    const memory = new WebAssembly.Memory({ initial: Math.ceil(end / PAGE), maximum: 65_536 });
    this.#wasm = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Exports;
    this.#at = { values, table, signs, scales };
    // Dimensions beyond the last one stay 0: whatever their sign, they add nothing.
    this.#values = new Int16Array(memory.buffer, values, hidden);
    this.#scores = new Float32Array(memory.buffer, scores, vocabulary);
    new Float32Array(memory.buffer, scales, vocabulary).set(rowScales(words, hidden));
    this.#pack(words, hidden, new Uint8Array(memory.buffer, signs, rows * this.#pairs));
  }

  /** Bit i of a row's byte says that weight i of eight is not below 0. */
  #pack(words: Float32Array, hidden: number, signs: Uint8Array): void {
    for (let row = 0; row < words.length / hidden; row++) {
      const block = Math.floor(row / ROWS) * this.#pairs;
      for (let i = 0; i < hidden; i++) {
        const byte = (block + Math.floor(i / PAIR)) * ROWS + (row % ROWS);
        if (!(words[row * hidden + i]! < 0)) signs[byte]! |= 1 << (i % PAIR);
      }
    }
  }

  /** Coarse scores of all words for one state of integers up to 8191; valid until the next call. */
  of(values: Int16Array): Float32Array {
    this.#values.set(values);
    const { values: at, table, signs, scales } = this.#at;
    this.#wasm.prepare(at, 2 * this.#pairs, table);
    this.#wasm.scores(signs, this.#pairs, this.#blocks, table, scales, this.#scores.byteOffset);
    return this.#scores;
  }
}

/** Reading and writing the little-endian fields of a record. */
import { corrupt } from './format.js';

export class FieldWriter {
  #bytes = new Uint8Array(64);
  #used = 0;

  u8(value: number): this {
    this.#room(1).setUint8(0, value);
    return this;
  }
  u32(value: number): this {
    this.#room(4).setUint32(0, value, true);
    return this;
  }
  i32(value: number): this {
    this.#room(4).setInt32(0, value, true);
    return this;
  }
  f64(value: number): this {
    this.#room(8).setFloat64(0, value, true);
    return this;
  }
  /** UTF-8 with its length in bytes (u32) before it. */
  text(value: string): this {
    const encoded = new TextEncoder().encode(value);
    this.u32(encoded.length);
    this.#room(encoded.length);
    this.#bytes.set(encoded, this.#used - encoded.length);
    return this;
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#used);
  }

  #room(bytes: number): DataView {
    if (this.#used + bytes > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#used + bytes));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#used += bytes;
    return new DataView(this.#bytes.buffer, this.#used - bytes, bytes);
  }
}

/** Reads fields in order; reading past their end is a corrupt record, reading less is allowed (later additions). */
export class FieldReader {
  readonly #view: DataView;
  #at = 0;

  constructor(
    readonly bytes: Uint8Array,
    /** Offset of the record in the file, for errors. */
    readonly offset: number,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get isAtEnd(): boolean {
    return this.#at === this.bytes.length;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }
  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }
  i32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }
  f64(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }
  text(): string {
    const length = this.u32();
    const start = this.#take(length);
    return new TextDecoder().decode(this.bytes.subarray(start, start + length));
  }

  #take(bytes: number): number {
    if (this.#at + bytes > this.bytes.length)
      throw corrupt('A record has fewer fields than its type needs.', this.offset);
    this.#at += bytes;
    return this.#at - bytes;
  }
}

const HOST_IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** The 16-bit integers as little-endian bytes. */
export function bytesOf16(values: Int16Array | Uint16Array): Uint8Array {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return HOST_IS_LITTLE_ENDIAN ? bytes : swapped(bytes, 2);
}

export function bytesOf32(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return HOST_IS_LITTLE_ENDIAN ? bytes : swapped(bytes, 4);
}

/** A copy of little-endian bytes with pairs in the host's order, aligned to its own buffer. */
export function copy16(bytes: Uint8Array): ArrayBuffer {
  const copied = HOST_IS_LITTLE_ENDIAN ? bytes.slice() : swapped(bytes, 2);
  return copied.buffer as ArrayBuffer;
}

/** The same for groups of four. */
export function copy32(bytes: Uint8Array): ArrayBuffer {
  const copied = HOST_IS_LITTLE_ENDIAN ? bytes.slice() : swapped(bytes, 4);
  return copied.buffer as ArrayBuffer;
}

function swapped(bytes: Uint8Array, size: number): Uint8Array {
  const result = new Uint8Array(bytes.length);
  for (let at = 0; at < bytes.length; at += size) result.set(bytes.slice(at, at + size).reverse(), at);
  return result;
}

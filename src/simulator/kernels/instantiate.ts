/** Loads a generated kernel with a memory of its own; runs in Node and in browsers. */

export interface Kernel<Exports> {
  readonly exports: Exports;
  readonly memory: WebAssembly.Memory;
  /** First byte that the kernel's own data leave free. */
  readonly heap: number;
}

const PAGE = 65536;
/** Kernels have no data of their own beyond a few globals; the first bytes stay unused, so that 0 is no address. */
const HEAP = 1024;

export function instantiate<Exports>(wasmBase64: string): Kernel<Exports> {
  const binary = atob(wasmBase64);
  const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536 });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
  return { exports: instance.exports as Exports, memory, heap: HEAP };
}

/** Grows the memory so that `bytes` bytes exist. Views on the old buffer are void afterwards. */
export function reserve(memory: WebAssembly.Memory, bytes: number): void {
  const missing = bytes - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
}

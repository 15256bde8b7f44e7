import { wasmBase64 } from './adamw.generated.js';
import type { AdamWUpdate } from './adamw-reference.js';

/** The optimiser's inner loops over one WebAssembly memory. Offsets are in bytes and multiples of 16; counts of 4. */
export interface AdamWKernel {
  sumOfSquares(gradients: number, count: number): number;
  /** Adds the gradients to the sums. */
  accumulate(sums: number, gradients: number, count: number): void;
  adamw(parameters: number, gradients: number, first: number, second: number, count: number, update: AdamWUpdate): void;
}

interface Exports {
  sumOfSquares(g: number, count: number): number;
  accumulate(sum: number, g: number, count: number): void;
  adamw(...args: number[]): void;
}

const module = new WebAssembly.Module(Buffer.from(wasmBase64, 'base64'));

export function adamwKernel(memory: WebAssembly.Memory): AdamWKernel {
  const instance = new WebAssembly.Instance(module, { env: { memory } });
  const wasm = instance.exports as unknown as Exports;
  return {
    sumOfSquares: wasm.sumOfSquares,
    accumulate: wasm.accumulate,
    adamw: (p, g, m, v, count, { scale, beta1, beta2, rate, root, epsilon, decay }) =>
      wasm.adamw(p, g, m, v, count, scale, beta1, 1 - beta1, beta2, 1 - beta2, rate, root, epsilon, decay),
  };
}

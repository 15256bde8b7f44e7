import { TandemError } from '../errors.js';
import { sizeOf, type Tensor } from '../graph/types.js';

/** A parameter's place, in elements from the start of each array. */
export interface ParameterPlace {
  readonly name: string;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly size: number;
}

/** The arrays kept for every parameter; `sums` only where gradients are accumulated over several batches. */
export type ParameterArray = 'parameters' | 'gradients' | 'first' | 'second' | 'sums';

const PAGE = 65_536;
/** WebAssembly addresses 4 GiB. */
const LARGEST_PAGES = 65_536;
/** Elements: 64 bytes, a cache line, more than any kernel asks for. */
const ALIGNMENT = 16;

/**
 * Parameters, their gradients and the optimiser's moments, each one flat float32 array in one WebAssembly memory: the
 * kernels run over whole arrays at once, and ONNX Runtime reads parameters and writes gradients where they lie, through
 * views. Padding between parameters is 0 and stays 0.
 */
export class ParameterMemory {
  readonly memory: WebAssembly.Memory;
  readonly places: readonly ParameterPlace[];
  /** Elements of each array, padding included. */
  readonly count: number;
  readonly #arrays: readonly ParameterArray[];

  /** Parameters lie in the order given. */
  constructor(parameters: readonly { readonly name: string; readonly value: Tensor }[], withSums: boolean) {
    let offset = 0;
    this.places = parameters.map(({ name, value }) => {
      const place = { name, shape: value.shape, offset, size: sizeOf(value.shape) };
      offset += Math.ceil(place.size / ALIGNMENT) * ALIGNMENT;
      return place;
    });
    this.count = offset;
    this.#arrays = ['parameters', 'gradients', 'first', 'second', ...(withSums ? (['sums'] as const) : [])];
    const bytes = this.#arrays.length * this.count * 4;
    if (bytes > LARGEST_PAGES * PAGE) {
      throw new TandemError(
        'TANDEM_CONFIG_INVALID',
        `Training ${this.count} parameters needs ${(bytes / 2 ** 30).toFixed(1)} GiB of optimiser memory; the limit is 4 GiB.`,
        { place: 'trainable', remedy: 'Train fewer parameters, for example without the embeddings.' },
      );
    }
    this.memory = new WebAssembly.Memory({ initial: Math.max(1, Math.ceil(bytes / PAGE)), maximum: LARGEST_PAGES });
    parameters.forEach(({ value }, i) => {
      this.view('parameters', this.places[i]!).set(value.data as Float32Array);
    });
  }

  /** Byte address of an array. */
  address(array: ParameterArray): number {
    return this.#arrays.indexOf(array) * this.count * 4;
  }

  /** A whole array, in place. */
  array(array: ParameterArray): Float32Array {
    return new Float32Array(this.memory.buffer, this.address(array), this.count);
  }

  /** One parameter's part of an array, in place. */
  view(array: ParameterArray, { offset, size }: ParameterPlace): Float32Array {
    return new Float32Array(this.memory.buffer, this.address(array) + offset * 4, size);
  }

  tensor(array: ParameterArray, place: ParameterPlace): Tensor {
    return { dtype: 'float32', shape: place.shape, data: this.view(array, place) };
  }
}

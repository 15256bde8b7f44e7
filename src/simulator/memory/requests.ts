/** Streams, strides and random requests, for tests, benchmarks and whoever wants to know what a memory can do. */
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import type { MemoryRequest } from '../../workload/requests.js';

export interface Pattern {
  /** stream: burst after burst; stride: every `strideBytes`; random: anywhere below `spanBytes`. */
  readonly kind: 'stream' | 'stride' | 'random';
  readonly requests: number;
  readonly burstBytes: number;
  /** Addresses stay below it; streams and strides begin anew there. */
  readonly spanBytes: number;
  readonly strideBytes?: number;
  /** Share of writes, 0 … 1; they are spread evenly. */
  readonly writes?: number;
  /** Cycles from one request to the next; 0: all at once. */
  readonly every?: number;
  readonly seed?: number;
}

export function* memoryRequests(pattern: Pattern): Generator<MemoryRequest> {
  const { kind, requests, burstBytes, spanBytes, strideBytes = burstBytes, writes = 0, every = 0, seed = 1 } = pattern;
  const generator = xoroshiro128plus(seed);
  const bursts = Math.floor(spanBytes / burstBytes);
  const step = kind === 'stride' ? strideBytes : burstBytes;
  for (let i = 0; i < requests; i++) {
    const address = kind === 'random' ? uniformInt(generator, 0, bursts - 1) * burstBytes : (i * step) % spanBytes;
    const write = Math.floor((i + 1) * writes) > Math.floor(i * writes);
    yield { address, write, cycle: Math.floor(i * every) };
  }
}

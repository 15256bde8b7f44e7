/** Traces of zero masks for tests: a small encoder of one layer, every matrix of forward and backward pass with random zeros. */
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import type { Workload } from '../../../src/simulator/types.js';
import {
  ACTIVATIONS,
  ARCHITECTURE_NOTE,
  feedForwardHidden,
  feedForwardWeight,
  WEIGHTS,
} from '../../../src/trace/matrices.js';
import type { MaskRecord, TraceHeader } from '../../../src/trace/types.js';
import type { TransformerArchitecture } from '../../../src/workload/transformer.js';

export const SMALL: TransformerArchitecture = {
  name: 'small',
  layers: [
    {
      hidden: 32,
      heads: [
        { kind: 'sdp', dim: 16 },
        { kind: 'sdp', dim: 16 },
      ],
      feedForward: [48],
    },
  ],
  vocabulary: 100,
  tokens: 24,
};

export interface MaskTraceOptions {
  readonly sequences: number;
  readonly tokens: number;
  /** Share of non-zeros by matrix and phase; default one half. */
  readonly density?: (matrix: string, phase: MaskRecord['phase']) => number;
  readonly seed?: number;
  readonly phases?: readonly MaskRecord['phase'][];
}

/** Matrices of SMALL: [rows, columns]; 0 rows stand for the tokens. */
const FORWARD: Readonly<Record<string, readonly [number, number]>> = {
  [ACTIVATIONS.input]: [0, 32],
  [ACTIVATIONS.query]: [0, 32],
  [ACTIVATIONS.key]: [0, 32],
  [ACTIVATIONS.value]: [0, 32],
  [ACTIVATIONS.context]: [0, 32],
  [ACTIVATIONS.attentionOutput]: [0, 32],
  [ACTIVATIONS.feedForwardInput]: [0, 32],
  [feedForwardHidden(0)]: [0, 48],
  [ACTIVATIONS.feedForwardOutput]: [0, 32],
};
const SHARED: Readonly<Record<string, readonly [number, number]>> = {
  [WEIGHTS.query]: [32, 32],
  [WEIGHTS.key]: [32, 32],
  [WEIGHTS.value]: [32, 32],
  [WEIGHTS.attention]: [32, 32],
  [feedForwardWeight(0)]: [32, 48],
  [feedForwardWeight(1)]: [48, 32],
};

export function maskRecords(options: MaskTraceOptions): MaskRecord[] {
  const { sequences, tokens, density = () => 0.5, seed = 1 } = options;
  const phases = options.phases ?? (['forward', 'backward', 'update'] as const);
  const generator = xoroshiro128plus(seed);
  const mask = (sequence: number, phase: MaskRecord['phase'], matrix: string, rows: number, columns: number) => {
    const nonZero = new Uint8Array(Math.ceil((rows * columns) / 8));
    const limit = density(matrix, phase) * 2 ** 32;
    for (let bit = 0; bit < rows * columns; bit++) {
      if (generator.next() >>> 0 < limit) nonZero[bit >> 3]! |= 1 << (bit & 7);
    }
    return { kind: 'mask', sequence, step: 0, layer: 0, phase, matrix, rows, columns, tile: [1, 1], nonZero } as const;
  };
  const records: MaskRecord[] = [];
  for (let sequence = 0; sequence < sequences; sequence++) {
    for (const phase of phases) {
      if (phase !== 'backward' && sequence === 0) {
        for (const [matrix, [rows, columns]] of Object.entries(SHARED))
          records.push(mask(0, phase, matrix, rows, columns));
      }
      if (phase === 'update') continue;
      // Sequences get shorter: the batch is as long as its longest.
      const real = Math.max(1, tokens - sequence);
      for (const [matrix, [, columns]] of Object.entries(FORWARD))
        records.push(mask(sequence, phase, matrix, real, columns));
      for (const matrix of [ACTIVATIONS.scores, ACTIVATIONS.probabilities]) {
        records.push(mask(sequence, phase, matrix, 2 * real, real));
      }
    }
  }
  return records;
}

export const maskHeader = (sequences: number): TraceHeader => ({
  producer: 'test',
  model: 'small',
  task: 'none',
  technique: 'none',
  sequences,
  layers: 1,
  headsPerLayer: [2],
  notes: { [ARCHITECTURE_NOTE]: JSON.stringify(SMALL) },
});

export function maskTrace(options: MaskTraceOptions): Workload {
  const records = maskRecords(options);
  async function* stream() {
    yield* records;
  }
  return { kind: 'trace', header: maskHeader(options.sequences), records: stream() };
}

/** Arbitrary trace records and headers for the property tests. */
import fc from 'fast-check';
import type { AttentionHeadRecord, TraceHeader, TraceRecord } from '../../src/trace/types.js';

export const header: TraceHeader = {
  producer: 'test',
  model: 'tiny',
  task: 'none',
  technique: 'leopard',
  sequences: 3,
  layers: 2,
  headsPerLayer: [2, 2],
  notes: { seed: '1', übrig: 'text ≠ ASCII' },
};

const index = fc.nat(0xffffffff);
const bytesOf = (bits: number) => fc.uint8Array({ minLength: Math.ceil(bits / 8), maxLength: Math.ceil(bits / 8) });
const int16s = (length: number, bits: number) =>
  fc.int16Array({ minLength: length, maxLength: length, min: -(2 ** (bits - 1)) + 1, max: 2 ** (bits - 1) - 1 });

export const attentionHead: fc.Arbitrary<AttentionHeadRecord> = fc
  .record({
    queries: fc.nat(5),
    keys: fc.nat(5),
    headDim: fc.integer({ min: 1, max: 9 }),
    bits: fc.integer({ min: 2, max: 16 }),
  })
  .chain(({ queries, keys, headDim, bits }) =>
    fc.record({
      kind: fc.constant('attention-head' as const),
      sequence: index,
      layer: index,
      head: index,
      queries: fc.constant(queries),
      keys: fc.constant(keys),
      paddedLength: index,
      headDim: fc.constant(headDim),
      valueDim: index,
      bits: fc.constant(bits),
      valueBits: fc.nat(255),
      queryStep: fc.double({ noNaN: true }),
      keyStep: fc.double({ noNaN: true }),
      threshold: fc.double({ noNaN: true }),
      causal: fc.boolean(),
      q: int16s(queries * headDim, bits),
      k: int16s(keys * headDim, bits),
      survivors: bytesOf(queries * keys),
    }),
  );

const mask: fc.Arbitrary<TraceRecord> = fc
  .record({
    rows: fc.nat(20),
    columns: fc.nat(20),
    tileRows: fc.integer({ min: 1, max: 9 }),
    tileColumns: fc.integer({ min: 1, max: 9 }),
  })
  .chain(({ rows, columns, tileRows, tileColumns }) =>
    fc.record({
      kind: fc.constant('mask' as const),
      sequence: index,
      step: index,
      layer: index,
      phase: fc.constantFrom('forward' as const, 'backward' as const, 'update' as const),
      matrix: fc.string({ unit: 'grapheme' }),
      rows: fc.constant(rows),
      columns: fc.constant(columns),
      tile: fc.constant([tileRows, tileColumns] as [number, number]),
      nonZero: bytesOf(Math.ceil(rows / tileRows) * Math.ceil(columns / tileColumns)),
    }),
  );

const tokenOperands: fc.Arbitrary<TraceRecord> = fc
  .record({ tokens: fc.nat(5), headDim: fc.nat(6), valueDim: fc.nat(6) })
  .chain(({ tokens, headDim, valueDim }) =>
    fc.record({
      kind: fc.constant('token-operands' as const),
      sequence: index,
      layer: index,
      head: index,
      tokens: fc.constant(tokens),
      headDim: fc.constant(headDim),
      valueDim: fc.constant(valueDim),
      q: int16s(tokens * headDim, 16),
      k: int16s(tokens * headDim, 16),
      v: int16s(tokens * valueDim, 16),
      steps: fc.float32Array({ minLength: 3 * tokens, maxLength: 3 * tokens, noNaN: true }),
    }),
  );

export const anyRecord: fc.Arbitrary<TraceRecord> = fc.oneof(
  attentionHead,
  mask,
  tokenOperands,
  fc.record({
    kind: fc.constant('token-bits' as const),
    sequence: index,
    layer: index,
    head: fc.integer({ min: -1, max: 100 }),
    bits: fc.uint8Array({ maxLength: 20 }),
  }),
  fc.record({
    kind: fc.constant('token-exits' as const),
    sequence: index,
    layers: index,
    prompt: fc.integer({ min: 1, max: 0xffffffff }),
    exits: fc.uint16Array({ maxLength: 20 }),
  }),
);

export function joined(blocks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(blocks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const block of blocks) {
    bytes.set(block, at);
    at += block.length;
  }
  return bytes;
}

import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { TokenBitsRecord } from '../../src/trace/types.js';
import { TokenWidthStatistics } from '../../src/trace/widths.js';

const record = (sequence: number, layer: number, bits: readonly number[], head = -1): TokenBitsRecord => ({
  kind: 'token-bits',
  sequence,
  layer,
  head,
  bits: Uint8Array.from(bits),
});

test('shares are of all tokens of a layer, widest first', () => {
  const widths = new TokenWidthStatistics();
  widths.add(record(0, 1, [8, 4, 4, 0]));
  widths.add(record(1, 1, [8, 8, 4, 4]));
  widths.add(record(0, 0, [8, 8, 8, 8]));
  expect(widths.shares()).toEqual([
    { layer: 0, shares: [{ bits: 8, share: 1 }] },
    {
      layer: 1,
      shares: [
        { bits: 8, share: 3 / 8 },
        { bits: 4, share: 4 / 8 },
        { bits: 0, share: 1 / 8 },
      ],
    },
  ]);
});

test('keeps the wanted sequences whole, by layer', () => {
  const widths = new TokenWidthStatistics(new Set([1]));
  for (const sequence of [0, 1]) {
    widths.add(record(sequence, 1, [4, sequence]));
    widths.add(record(sequence, 0, [8, 8]));
  }
  expect(widths.examples()).toEqual([
    {
      sequence: 1,
      layers: [
        { layer: 0, bits: [8, 8] },
        { layer: 1, bits: [4, 1] },
      ],
    },
  ]);
});

test('shares of every layer add up to 1', () => {
  const layers = fc.array(fc.array(fc.constantFrom(0, 4, 8), { minLength: 1 }), { minLength: 1 });
  fc.assert(
    fc.property(layers, (all) => {
      const widths = new TokenWidthStatistics();
      for (const [layer, bits] of all.entries()) widths.add(record(0, layer, bits));
      for (const { shares } of widths.shares()) {
        expect(shares.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 12);
      }
    }),
  );
});

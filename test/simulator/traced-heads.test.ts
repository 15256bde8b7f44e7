import { expect, test } from 'vitest';
import { tracedHeads } from '../../src/simulator/traced-heads.js';
import { ARCHITECTURE_NOTE } from '../../src/trace/matrices.js';
import { header } from './heads.js';

const kinds = (...heads: (readonly [string, number])[]) => ({
  hidden: 8,
  heads: heads.map(([kind, dim]) => ({ kind, dim })),
  feedForward: [8],
});
const noted = (headsPerLayer: readonly number[], note: string) => ({
  ...header,
  headsPerLayer,
  notes: { [ARCHITECTURE_NOTE]: note },
});
const mixed = JSON.stringify({
  name: 'mixed',
  layers: [kinds(['sdp', 16], ['dct', 32], ['wma', 24]), kinds(['sdp', 8])],
  vocabulary: 1,
  tokens: 1,
});

test('heads without scores do not count', () => {
  expect(tracedHeads(noted([2, 1], mixed))(0)).toEqual({ count: 2, widths: [16, 24] });
});

test('a header that numbers layers otherwise tells no widths', () => {
  expect(tracedHeads(noted([1, 1, 1], mixed))(0)).toEqual({ count: 1, widths: undefined });
  expect(tracedHeads({ ...header, headsPerLayer: [3] })(0)).toEqual({ count: 3, widths: undefined });
  expect(tracedHeads({ ...header, headsPerLayer: [] })(0)).toEqual({ count: undefined, widths: undefined });
});

test('a note that is no JSON makes the trace contradict itself', () => {
  expect(() => tracedHeads(noted([1], '{'))).toThrow(expect.objectContaining({ code: 'TANDEM_TRACE_INCONSISTENT' }));
});

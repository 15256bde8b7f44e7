import { describe, expect, it } from 'vitest';
import { TraceStatistics } from '../../src/trace/statistics.js';
import type { AttentionHeadRecord, MaskRecord, TraceRecord } from '../../src/trace/types.js';
import { header } from './records.js';

/** Three queries, three keys of one dimension, threshold 6: products 1·{2,4,6}, 2·{…}, −1·{…}. */
const record: AttentionHeadRecord = {
  kind: 'attention-head',
  sequence: 4,
  layer: 1,
  head: 0,
  queries: 3,
  keys: 3,
  paddedLength: 8,
  headDim: 1,
  valueDim: 1,
  bits: 12,
  valueBits: 16,
  queryStep: 0.5,
  keyStep: 0.25,
  threshold: 6,
  causal: false,
  q: Int16Array.of(1, 2, -1),
  k: Int16Array.of(2, 4, 6),
  // row 0: key 2; row 1: keys 1, 2; row 2: none reaches 6, the largest (key 0) is kept
  survivors: Uint8Array.of(0b01110100, 0),
};

describe('trace statistics', () => {
  it('counts scores, survivors and rows where only the largest was kept', () => {
    const statistics = new TraceStatistics(header);
    statistics.add(record);
    statistics.add({ ...record, sequence: 5, survivors: Uint8Array.of(0b00110100, 0) });
    const summary = statistics.summary();
    expect(summary).toMatchObject({
      sequences: 2,
      tokens: 6,
      paddingTokens: 10,
      scores: 18,
      survivors: 7,
      emptyRows: 2,
      rows: 6,
    });
    expect(summary.heads).toEqual([
      { layer: 1, head: 0, threshold: 0.75, scores: 18, survivors: 7, pruningRate: 1 - 7 / 18, emptyRows: 2, rows: 6 },
    ]);
  });

  it('counts only visible keys of a causal head', () => {
    const statistics = new TraceStatistics(header);
    statistics.add({ ...record, causal: true, survivors: Uint8Array.of(0b01010001, 0) });
    expect(statistics.summary()).toMatchObject({ scores: 6, survivors: 3, emptyRows: 2 });
  });

  it('counts zeros by matrix: elements where the mask is fine, whole tiles where it is coarse', () => {
    const mask: MaskRecord = {
      kind: 'mask',
      sequence: 0,
      step: 0,
      layer: 0,
      phase: 'forward',
      matrix: 'query',
      rows: 3,
      columns: 5,
      tile: [1, 1],
      nonZero: Uint8Array.of(0b10000111, 0b0000001), // elements 0, 1, 2, 7, 8
    };
    const statistics = new TraceStatistics(header);
    statistics.add({ ...mask, phase: 'update', matrix: 'query.weight' });
    statistics.add({ ...mask, layer: 1, matrix: 'key', tile: [2, 4], nonZero: Uint8Array.of(0b0110) });
    statistics.add(mask);
    statistics.add({ ...mask, sequence: 1, rows: 2, nonZero: new Uint8Array(2) });
    const { matrices, tokens, sequences, records } = statistics.summary();
    expect(matrices).toEqual([
      { phase: 'forward', layer: 0, matrix: 'query', records: 2, elements: 25, zeros: 20, sparsity: 0.8 },
      // tiles of 2 × 1 (the right edge) and of 1 × 4 (the bottom) hold something: 6 of 15 elements
      { phase: 'forward', layer: 1, matrix: 'key', records: 1, elements: 15, zeros: 9, sparsity: 0.6 },
      expect.objectContaining({ phase: 'update', matrix: 'query.weight', zeros: 10 }),
    ]);
    expect({ tokens, sequences, masks: records.mask }).toEqual({ tokens: 5, sequences: 2, masks: 4 });
  });
});

describe('traces of tokens', () => {
  const summaryOf = (records: readonly TraceRecord[]) => {
    const statistics = new TraceStatistics(header);
    for (const record of records) statistics.add(record);
    return statistics.summary();
  };

  it('say how many tokens left after each layer', () => {
    const record = { kind: 'token-exits', layers: 4, prompt: 1 } as const;
    const { exits, tokens, sequences } = summaryOf([
      { ...record, sequence: 0, exits: Uint16Array.of(4, 2, 1) },
      { ...record, sequence: 1, exits: Uint16Array.of(1, 2) },
    ]);
    expect({ exits, tokens, sequences }).toEqual({ exits: [2, 2, 0, 1], tokens: 5, sequences: 2 });
  });

  it('say the share of each width by layer', () => {
    const record = { kind: 'token-bits', sequence: 0, head: -1 } as const;
    const { widths, tokens } = summaryOf([
      { ...record, layer: 0, bits: Uint8Array.of(8, 8, 8, 4) },
      { ...record, layer: 1, bits: Uint8Array.of(8, 4, 0, 0) },
    ]);
    expect(tokens).toBe(4);
    expect(widths).toEqual([
      {
        layer: 0,
        shares: [
          { bits: 8, share: 0.75 },
          { bits: 4, share: 0.25 },
        ],
      },
      {
        layer: 1,
        shares: [
          { bits: 8, share: 0.25 },
          { bits: 4, share: 0.25 },
          { bits: 0, share: 0.5 },
        ],
      },
    ]);
  });
});

import { describe, expect, it } from 'vitest';
import { TraceStatistics } from '../../src/trace/statistics.js';
import type { AttentionHeadRecord } from '../../src/trace/types.js';
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
});

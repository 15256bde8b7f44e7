/** What the model decided and what the machine decides from the recorded Q, K and thresholds are one and the same. */
import { beforeAll, describe, expect, test } from 'vitest';
import { withOutputs } from '../../src/graph/edit.js';
import { floatTensor, type Tensor } from '../../src/graph/types.js';
import { buildBert, freshBertWeights } from '../../src/models/bert.js';
import { normalWeights } from '../../src/models/weights.js';
import { collate } from '../../src/runtime/collate.js';
import { Session } from '../../src/runtime/session.js';
import { leopard as machine } from '../../src/simulator/leopard.js';
import type { SimulationResult } from '../../src/simulator/types.js';
import { leopard, leopardOptions, thresholdName } from '../../src/techniques/leopard.js';
import { decodeTrace } from '../../src/trace/decode.js';
import { encodeEnd, encodeHeader, encodeRecord } from '../../src/trace/encode.js';
import { TraceStatistics } from '../../src/trace/statistics.js';
import type { AttentionHeadRecord, TraceHeader, TraceRecord } from '../../src/trace/types.js';
import { attentionModel, headsOf, maskOf, rowsOf, valuesOf } from './attention-model.js';

const [LAYERS, HEADS, HEAD_DIM] = [2, 2, 8];
const ROWS = [[1, 5, 9, 11, 3, 2], [1, 7, 2], [4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4], [6]];

const HEADER: TraceHeader = {
  producer: 'test',
  model: 'bert',
  task: 'none',
  technique: 'leopard',
  sequences: ROWS.length,
  layers: LAYERS,
  headsPerLayer: [HEADS, HEADS],
  notes: {},
};

type EmptyRow = 'keep-largest' | 'drop';

/** Records of a small BERT with random weights: thresholds near 0 prune about half, high ones leave rows empty. */
async function bertRecords(emptyRow: EmptyRow, thresholds: readonly number[]): Promise<AttentionHeadRecord[]> {
  const sizes = { layers: LAYERS, hidden: HEADS * HEAD_DIM, heads: HEADS, intermediate: 32 };
  const config = { ...sizes, vocabulary: 12, positions: 16, segments: 2, epsilon: 1e-12, activation: 'gelu' } as const;
  // Wider than a fresh BERT's weights, so that scores spread.
  const [fresh, wide] = [freshBertWeights(3), normalWeights(3, 0.5)];
  const { graph } = buildBert(config, (name, shape) => (shape.length > 1 ? wide(shape) : fresh(name, shape)), 2);
  const options = leopardOptions.parse({ emptyRow, granularity: 'head' });
  const ranges = await measured(leopard.calibrated(graph, options), graph);
  const learned = new Map<string, Tensor>();
  for (let layer = 0; layer < LAYERS; layer++)
    learned.set(
      thresholdName(layer),
      floatTensor(thresholds.slice(layer * HEADS, (layer + 1) * HEADS), [1, HEADS, 1, 1]),
    );
  const rewrite = leopard.forInference(graph, options, learned, ranges);
  const session = await Session.create(withOutputs(rewrite.graph, rewrite.observed), { threads: 1 });
  try {
    const fetched = await session.run(collate(ROWS));
    return headsOf(
      rewrite,
      fetched,
      ROWS.map(({ length }) => length),
    );
  } finally {
    await session.dispose();
  }
}

async function measured(
  values: readonly string[],
  graph: Parameters<typeof withOutputs>[0],
): Promise<Map<string, number>> {
  const session = await Session.create(withOutputs(graph, values), { threads: 1 });
  try {
    const fetched = await session.run(collate(ROWS));
    return new Map(
      values.map((value) => [value, Math.max(...[...(fetched[value]!.data as Float32Array)].map(Math.abs))]),
    );
  } finally {
    await session.dispose();
  }
}

async function* stream<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

async function simulated(records: AsyncIterable<TraceRecord>, emptyRow: EmptyRow): Promise<SimulationResult> {
  const config = machine.schema.parse({ emptyRow });
  const result = await machine.simulate(config, { kind: 'trace', header: HEADER, records }, { name: 'tile' });
  if (!result.feasible) throw new Error(`infeasible: ${result.resource}`);
  return result;
}

const MIXED = [0.1, -0.2, 0.4, 1e6];

describe.each(['keep-largest', 'drop'] as const)('a trace of a BERT with rows below the threshold: %s', (emptyRow) => {
  let records: AttentionHeadRecord[];
  beforeAll(async () => {
    records = await bertRecords(emptyRow, MIXED);
  });

  test('has a record per sequence, layer and head, some scores kept, some pruned, some rows empty', () => {
    expect(records).toHaveLength(ROWS.length * LAYERS * HEADS);
    const statistics = new TraceStatistics(HEADER);
    for (const record of records) statistics.add(record);
    const { pruningRate, emptyRows, tokens, heads } = statistics.summary();
    expect(tokens).toBe(ROWS.flat().length);
    expect(pruningRate).toBeGreaterThan(0.2);
    expect(pruningRate).toBeLessThan(0.95);
    expect(heads.at(-1)!.emptyRows).toBe(heads.at(-1)!.rows);
    expect(emptyRows).toBeGreaterThan(heads.at(-1)!.rows);
  });

  test('plays on the machine, which finds the same survivors', async () => {
    const result = await simulated(stream(records), emptyRow);
    expect(result.counts.scores).toBe(LAYERS * HEADS * ROWS.reduce((sum, row) => sum + row.length ** 2, 0));
    // A head whose rows are all empty: one survivor a row, or none.
    const last = result.parts.find(({ layer, head }) => layer === '1' && head === 1)!;
    expect(last.counts.survivors).toBe(emptyRow === 'drop' ? 0 : ROWS.flat().length);
  });

  test('is the same after it was written and read', async () => {
    const bytes = [encodeHeader(HEADER), ...records.map(encodeRecord), encodeEnd(records.length)];
    const decode = async () => (await decodeTrace(stream(bytes))).records;
    const read: TraceRecord[] = [];
    for await (const record of await decode()) read.push(record);
    expect(read).toEqual(records);
    expect(await simulated(await decode(), emptyRow)).toEqual(await simulated(stream(records), emptyRow));
  });

  test('is refused by a machine that treats empty rows in the other way', async () => {
    const other = emptyRow === 'drop' ? 'keep-largest' : 'drop';
    await expect(simulated(stream(records), other)).rejects.toMatchObject({ code: 'TANDEM_TRACE_INCONSISTENT' });
  });

  test('is refused when one survivor differs', async () => {
    const survivors = records[0]!.survivors.slice();
    survivors[0]! ^= 1;
    const forged = [{ ...records[0]!, survivors }, ...records.slice(1)];
    await expect(simulated(stream(forged), emptyRow)).rejects.toMatchObject({ code: 'TANDEM_TRACE_INCONSISTENT' });
  });
});

test('a causal model plays too, on half the scores', async () => {
  const sizes = { batch: 2, heads: 2, tokens: 6, dim: 4 };
  const lengths = [6, 4];
  const normal = normalWeights(5, 1);
  const part = () => rowsOf(normal([192 / 2]).data as Float32Array, sizes);
  const feeds = { query: part(), key: part(), value: part(), attention_mask: maskOf(lengths, 6) };
  const graph = attentionModel({ heads: 2, dim: 4, mask: 'causal', scale: 0.5 });
  for (const threshold of [-1e9, 0, 1e9]) {
    const learned = new Map([[thresholdName(0), floatTensor([threshold], [1, 1, 1, 1])]]);
    const ranges = new Map(['query', 'key', 'value'].map((name) => [name, 3]));
    const rewrite = leopard.forInference(graph, leopardOptions.parse({}), learned, ranges);
    const records = headsOf(rewrite, await valuesOf(rewrite.graph, feeds, rewrite.observed), lengths);
    const result = await simulated(stream(records), 'keep-largest');
    expect(result.counts.scores).toBe(2 * ((6 * 7) / 2 + (4 * 5) / 2));
    if (threshold === -1e9) expect(result.counts.survivors).toBe(result.counts.scores);
    if (threshold === 1e9) expect(result.counts.survivors).toBe(2 * (6 + 4));
  }
});

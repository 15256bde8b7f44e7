/** What the model decides and what the machine decides from the recorded Q and K are one and the same. */
import { expect, test } from 'vitest';
import { withOutputs } from '../../src/graph/edit.js';
import { buildBert } from '../../src/models/bert.js';
import { normalWeights } from '../../src/models/weights.js';
import { collate } from '../../src/runtime/collate.js';
import { spatten as machine } from '../../src/simulator/spatten.js';
import { spattenSchema } from '../../src/simulator/spatten-config.js';
import { spatten } from '../../src/techniques/spatten.js';
import { spattenOptions } from '../../src/techniques/spatten-options.js';
import type { TraceHeader } from '../../src/trace/types.js';
import { run } from '../graph/runtime.js';

const ROWS = [[1, 5, 9, 2, 7, 3, 8, 10, 4, 6], [1], [4, 8, 11, 2, 2, 5]];
const SIZES = { layers: 3, hidden: 16, heads: 4, intermediate: 16, vocabulary: 12, positions: 12, segments: 2 };

test('tokens, heads, flat rows and values of a small BERT', async () => {
  const wide = normalWeights(1, 0.5);
  const { graph } = buildBert({ ...SIZES, epsilon: 1e-12, activation: 'gelu' }, (_, shape) => wide(shape), 2);
  const options = spattenOptions.parse({ flatThreshold: 0.4, tokenShares: [0.7, 0.5], headShares: [0.75, 0.5] });
  const measured = await run(withOutputs(graph, spatten.calibrated(graph, options)), collate(ROWS));
  const ranges = new Map(
    Object.entries(measured).map(([name, { data }]) => [name, Math.max(...Array.from(data as Float32Array, Math.abs))]),
  );
  const rewrite = spatten.forInference(graph, options, new Map(), ranges);
  const flatNames = rewrite.graph.nodes
    .flatMap(({ outputs }) => outputs)
    .filter((name) => /^layer\d\.spatten\.flat$/.test(name));
  expect(flatNames).toHaveLength(SIZES.layers);
  const fetched = await run(withOutputs(rewrite.graph, [...rewrite.observed, ...flatNames]), {
    ...collate(ROWS),
    ...rewrite.feeds,
  });
  const records = [
    ...rewrite.record(
      fetched,
      ROWS.map(({ length }) => length),
      0,
    ),
  ];
  const header: TraceHeader = {
    producer: 'test',
    model: 'bert',
    task: 'none',
    technique: 'spatten',
    layers: SIZES.layers,
    headsPerLayer: rewrite.headsPerLayer,
    notes: {},
  };
  async function* stream() {
    yield* records;
  }
  const config = spattenSchema.parse({ fetch: { flatThreshold: 0.4 } });
  const result = await machine.simulate(config, { kind: 'trace', header, records: stream() }, { name: 'test' });
  if (!result.feasible) throw new Error(result.resource);

  let [rows, flatRows, values] = [0, 0, 0];
  for (const record of records) {
    if (record.kind !== 'attention-head') continue;
    const bits = records.find(
      (one) =>
        one.kind === 'token-bits' &&
        one.sequence === record.sequence &&
        one.layer === record.layer &&
        one.head === record.head,
    );
    if (bits?.kind !== 'token-bits') throw new Error('a head without bits');
    const { data, shape } = fetched[`layer${record.layer}.spatten.flat`]!;
    const padded = shape[2]!;
    for (let row = 0; row < record.queries; row++) {
      if (bits.bits[row] === 0) continue;
      rows++;
      flatRows += Number(data[(record.sequence * SIZES.heads + record.head) * padded + row]);
      for (let key = 0; key < record.keys; key++) {
        const bit = row * record.keys + key;
        values += (record.survivors[bit >> 3]! >> (bit & 7)) & 1;
      }
    }
  }
  expect(flatRows).toBeGreaterThan(0);
  expect(flatRows).toBeLessThan(rows);
  expect(result.counts).toMatchObject({ rows, flatRows, values });
});

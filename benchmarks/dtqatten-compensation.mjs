// What DTQAtten's compensation (one averaged pseudo-token for all that are removed) does to accuracy: runs of experiments/dtqatten,
// with the ratios that each found, and with all deeper layers keeping the same share of the tokens at 8 bits.
// Usage: npm run build && node benchmarks/dtqatten-compensation.mjs RUN-FOLDER …
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { mean, sampleStandardDeviation } from 'simple-statistics';
import { always, pass } from '../dist/experiment/assess.js';
import { loadExperiment } from '../dist/experiment/load.js';
import { prepare } from '../dist/experiment/prepare.js';
import { withOutputs } from '../dist/graph/edit.js';
import { formatTable } from '../dist/report/tables.js';
import { readSafetensors } from '../dist/runtime/safetensors-files.js';
import { Session } from '../dist/runtime/session.js';
import { dtqatten } from '../dist/techniques/dtqatten.js';

const KEPT = [0.7, 0.5, 0.3, 0.1];
const percent = (share) => `${(100 * share).toFixed(2)} %`;

async function predictions(graph, split, feeds) {
  const session = await Session.create(withOutputs(graph, always(undefined)), { threads: 1 });
  const { predicted } = await pass(session, split, { feeds, counts: undefined });
  await session.dispose();
  return predicted.map((label, i) => Number(label === split.labels[i]));
}

const rows = [];
for (const folder of process.argv.slice(2)) {
  const { settings } = JSON.parse(readFileSync(join(folder, 'resolved.json'), 'utf8'));
  const loaded = await loadExperiment(join(folder, 'experiment.yaml'), { settings: settings ?? [] });
  const { model, test } = await prepare(loaded);
  const { tensors } = await readSafetensors(join(folder, 'checkpoints', 'baseline.safetensors'));
  const weights = [...model.graph.initializers].map(([name, value]) => [name, tensors.get(name) ?? value]);
  const graph = { ...model.graph, initializers: new Map(weights) };
  const result = JSON.parse(readFileSync(join(folder, 'result.json'), 'utf8'));
  const choices = [
    ['as searched', result.technique.options],
    ...KEPT.map((kept) => [`${percent(kept)} of the tokens`, { widths: [8, 4, 0], ratios: [[kept, 0, 1 - kept]] }]),
  ];
  const before = await predictions(graph, test);
  for (const [name, choice] of choices) {
    const right = [];
    for (const compensation of [false, true]) {
      const rewrite = dtqatten.forInference(graph, dtqatten.schema.parse({ ...choice, compensation }));
      right.push(await predictions(rewrite.graph, test, rewrite.feeds));
    }
    const gained = right[1].map((one, i) => 100 * (one - right[0][i]));
    const error = (1.96 * sampleStandardDeviation(gained)) / Math.sqrt(gained.length);
    rows.push({
      task: result.data.name,
      kept: name,
      baseline: percent(mean(before)),
      without: percent(mean(right[0])),
      with: percent(mean(right[1])),
      'points gained': `${mean(gained).toFixed(2)} ± ${error.toFixed(2)}`,
    });
  }
}
const columns = Object.keys(rows[0]).map((key) => ({ key, header: key, value: (row) => row[key] }));
process.stdout.write(formatTable(rows, columns, 'table'));

// DynaProp with three seeds: accuracy against dense training, and the shares of zeros while training, mean and range.
// Usage: npm run build && node benchmarks/dynaprop-seeds.mjs [--json] [--keep=FOLDER] [--set path=value …] [experiment.yaml] [seed …]
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const words = process.argv.slice(2);
const json = words.includes('--json');
const keep = words.find((word) => word.startsWith('--keep='))?.slice('--keep='.length);
const settings = words.filter((_, at) => words[at - 1] === '--set');
const plain = words.filter((word, at) => !word.startsWith('--') && words[at - 1] !== '--set');
const experiment =
  plain.find((word) => /\.ya?ml$/.test(word)) ?? join(root, 'experiments', 'transcode', 'dynaprop.yaml');
const seeds = plain.filter((word) => /^\d+$/.test(word)).map(Number);
const scratch = keep ?? mkdtempSync(join(tmpdir(), 'tandem-seeds-'));

/** One whole run in a process of its own, with its wall-clock time. */
function run(seed) {
  const out = join(scratch, `seed-${seed}`);
  const start = performance.now();
  const changes = [...settings, `seed=${seed}`].flatMap((setting) => ['--set', setting]);
  const main = join(root, 'dist', 'cli', 'main.js');
  execFileSync(process.execPath, [main, 'run', experiment, '--out', out, ...changes, '--format', 'json'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const seconds = (performance.now() - start) / 1000;
  const result = JSON.parse(readFileSync(join(out, 'result.json'), 'utf8'));
  return { seed, seconds, ...summary(result) };
}

function summary({ accuracy, pruningRate, training, trainingSparsity, timings }) {
  const zeros = Object.entries(trainingSparsity).map(([kind, share]) => [`zero ${kind}, %`, 100 * share]);
  // Before the first threshold that follows a sparsity: the zeros that are there anyway.
  const [first] = training.filter(({ stage }) => stage === 'adapted');
  return {
    baseline: 100 * accuracy.baseline,
    adapted: 100 * accuracy.adapted,
    pointsLost: 100 * (accuracy.baseline - accuracy.adapted),
    ...Object.fromEntries(zeros),
    'zero gradients at step 0, %': 100 * first.monitors['sparsity.gradients'],
    'zero activations at inference, %': 100 * pruningRate,
    trainingSeconds: timings.training,
  };
}

try {
  const rows = (seeds.length > 0 ? seeds : [1, 2, 3]).map(run);
  const columns = Object.keys(rows[0]).filter((key) => key !== 'seed');
  const spread = columns.map((column) => {
    const values = rows.map((row) => row[column]);
    return {
      column,
      mean: values.reduce((a, b) => a + b, 0) / values.length,
      low: Math.min(...values),
      high: Math.max(...values),
    };
  });
  if (json) console.log(JSON.stringify({ rows, spread }, null, 2));
  else {
    console.log(['figure', ...rows.map(({ seed }) => `seed ${seed}`), 'mean', 'low … high'].join(' | '));
    for (const { column, mean, low, high } of spread) {
      const values = rows.map((row) => row[column].toFixed(2));
      console.log([column, ...values, mean.toFixed(2), `${low.toFixed(2)} … ${high.toFixed(2)}`].join(' | '));
    }
  }
} finally {
  if (keep === undefined) rmSync(scratch, { recursive: true, force: true });
}

// The quick start with three seeds: accuracy lost, pruning, and each machine's gain, mean and range.
// Usage: npm run build && node benchmarks/quickstart-seeds.mjs [--json] [--keep=FOLDER] [experiment.yaml] [seed …]
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const words = process.argv.slice(2);
const json = words.includes('--json');
const keep = words.find((word) => word.startsWith('--keep='))?.slice('--keep='.length);
const experiment = words.find((word) => /\.ya?ml$/.test(word)) ?? join(root, 'experiments', 'quickstart.yaml');
const seeds = words.filter((word) => /^\d+$/.test(word)).map(Number);
const scratch = keep ?? mkdtempSync(join(tmpdir(), 'tandem-seeds-'));

/** One whole run in a process of its own, with its wall-clock time and peak memory. */
function run(seed) {
  const out = join(scratch, `seed-${seed}`);
  const start = performance.now();
  const main = join(root, 'dist', 'cli', 'main.js');
  execFileSync(process.execPath, [main, 'run', experiment, '--out', out, '--set', `seed=${seed}`, '--format', 'json'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const seconds = (performance.now() - start) / 1000;
  const result = JSON.parse(readFileSync(join(out, 'result.json'), 'utf8'));
  return { seed, seconds, ...summary(result) };
}

function summary({ accuracy, pruningRate, meanBits, machines, timings }) {
  const row = {
    baseline: 100 * accuracy.baseline,
    adapted: 100 * accuracy.adapted,
    pointsLost: 100 * (accuracy.baseline - accuracy.adapted),
    pruned: 100 * pruningRate,
    meanBits,
    measuringSeconds: timings.measuring,
    simulatingSeconds: timings.simulating,
  };
  for (const { name, feasible, speedup, energyRatio } of machines) {
    if (feasible) Object.assign(row, { [`${name} speed-up`]: speedup, [`${name} energy`]: energyRatio });
  }
  return row;
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

// DynaTran's accuracy-sparsity curve against top-k's, over seeds: what each point of top-k's curve loses or gains against
// DynaTran's at as many zeros (interpolated), and how many zeros DynaTran reaches within half a point.
// Usage: npm run build && node benchmarks/dynatran-curves.mjs [--json] [--keep=FOLDER] [--set path=value …] [experiment.yaml] [seed …]
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const words = process.argv.slice(2);
const json = words.includes('--json');
const keep = words.find((word) => word.startsWith('--keep='))?.slice('--keep='.length);
const settings = words.filter((_, at) => words[at - 1] === '--set');
const plain = words.filter((word, at) => !word.startsWith('--') && words[at - 1] !== '--set');
const experiment = plain.find((word) => /\.ya?ml$/.test(word)) ?? join(root, 'experiments/transcode/dynatran.yaml');
const seeds = plain.filter((word) => /^\d+$/.test(word)).map(Number);
const scratch = keep ?? mkdtempSync(join(tmpdir(), 'tandem-curves-'));

function run(seed) {
  const out = join(scratch, `seed-${seed}`);
  if (!existsSync(join(out, 'result.json'))) {
    const changes = [...settings, `seed=${seed}`].flatMap((setting) => ['--set', setting]);
    const main = join(root, 'dist', 'cli', 'main.js');
    execFileSync(process.execPath, [main, 'run', experiment, '--out', out, ...changes, '--format', 'json'], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }
  return { seed, ...JSON.parse(readFileSync(join(out, 'result.json'), 'utf8')) };
}

/** Accuracy of a curve at a sparsity, between the measured points around it; undefined outside of them. */
function accuracyAt({ points }, sparsity) {
  for (let i = 1; i < points.length; i++) {
    const [a, b] = [points[i - 1], points[i]];
    if (sparsity < a.sparsity || sparsity > b.sparsity || a.sparsity === b.sparsity) continue;
    return a.accuracy + ((sparsity - a.sparsity) / (b.sparsity - a.sparsity)) * (b.accuracy - a.accuracy);
  }
  return undefined;
}

function summary({ seed, curves, accuracy, machines }) {
  const dynatran = curves.find(({ rule }) => rule === 'dynatran');
  const topK = curves.find(({ rule }) => rule === 'top-k');
  const plainAccuracy = dynatran.points[0].accuracy;
  const gains = topK.points.flatMap(({ parameter, sparsity, accuracy: reached }) => {
    const other = accuracyAt(dynatran, sparsity);
    return other === undefined ? [] : [{ k: parameter, sparsity, points: 100 * (other - reached) }];
  });
  const within = dynatran.points.filter((point) => plainAccuracy - point.accuracy < 0.005);
  const best = within.at(-1);
  return {
    seed,
    test: accuracy.examples,
    baseline: 100 * plainAccuracy,
    naturalZeros: 100 * dynatran.points[0].sparsity,
    mostZerosWithinHalfAPoint: 100 * best.sparsity,
    atThreshold: best.parameter,
    chosen: dynatran.chosen,
    chosenLoss: 100 * (accuracy.baseline - accuracy.adapted),
    speedup: machines.at(-1)?.speedup,
    energyRatio: machines.at(-1)?.energyRatio,
    gains,
  };
}

const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

try {
  const rows = (seeds.length > 0 ? seeds : [1, 2, 3]).map(run).map(summary);
  const ks = [...new Set(rows.flatMap(({ gains }) => gains.map(({ k }) => k)))].sort((a, b) => a - b);
  const byK = ks.map((k) => {
    const at = rows.flatMap(({ gains }) => gains.filter((gain) => gain.k === k));
    const points = at.map((gain) => gain.points);
    return {
      k,
      'zeros, %': 100 * mean(at.map(({ sparsity }) => sparsity)),
      'DynaTran over top-k, points: mean': mean(points),
      low: Math.min(...points),
      high: Math.max(...points),
      runs: points.length,
    };
  });
  if (json) console.log(JSON.stringify({ rows, byK }, null, 2));
  else {
    console.table(rows.map(({ gains: _, ...row }) => row));
    console.table(byK);
  }
} finally {
  if (!keep) rmSync(scratch, { recursive: true, force: true });
}

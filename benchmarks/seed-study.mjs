// What the studies over seeds share: their command line, a run of an experiment for each seed, and the table of means and ranges.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Options of the command line: [--json] [--keep=FOLDER] [--set path=value …] [experiment.yaml] [seed …]
 * @param experiment file that is run unless another is named, relative to the repository
 */
export function seedStudy(experiment) {
  const words = process.argv.slice(2);
  const keep = words.find((word) => word.startsWith('--keep='))?.slice('--keep='.length);
  const plain = words.filter((word, at) => !word.startsWith('--') && words[at - 1] !== '--set');
  const seeds = plain.filter((word) => /^\d+$/.test(word)).map(Number);
  return {
    json: words.includes('--json'),
    keep,
    settings: words.filter((_, at) => words[at - 1] === '--set'),
    experiment: plain.find((word) => /\.ya?ml$/.test(word)) ?? join(root, experiment),
    seeds: seeds.length > 0 ? seeds : [1, 2, 3],
  };
}

/** Hands the study a function that runs one seed; folders that are not kept are gone afterwards. */
export function withRuns({ keep, settings, experiment }, study) {
  const scratch = keep ?? mkdtempSync(join(tmpdir(), 'tandem-seeds-'));
  try {
    study((seed, options) => run(seed, { scratch, settings, experiment, ...options }));
  } finally {
    if (keep === undefined) rmSync(scratch, { recursive: true, force: true });
  }
}

/**
 * One whole run in a process of its own, with its wall-clock time.
 * @param reuse take the result of a run that a kept folder holds already
 */
function run(seed, { scratch, settings, experiment, reuse = false }) {
  const out = join(scratch, `seed-${seed}`);
  const file = join(out, 'result.json');
  const start = performance.now();
  if (!(reuse && existsSync(file))) {
    const changes = [...settings, `seed=${seed}`].flatMap((setting) => ['--set', setting]);
    const main = join(root, 'dist', 'cli', 'main.js');
    execFileSync(process.execPath, [main, 'run', experiment, '--out', out, ...changes, '--format', 'json'], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }
  return { seconds: (performance.now() - start) / 1000, result: JSON.parse(readFileSync(file, 'utf8')) };
}

/** Each column of the rows by seed, with mean and range. */
export function printSpread(rows, json) {
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
  if (json) {
    console.log(JSON.stringify({ rows, spread }, null, 2));
    return;
  }
  console.log(['figure', ...rows.map(({ seed }) => `seed ${seed}`), 'mean', 'low … high'].join(' | '));
  for (const { column, mean, low, high } of spread) {
    const values = rows.map((row) => row[column].toFixed(2));
    console.log([column, ...values, mean.toFixed(2), `${low.toFixed(2)} … ${high.toFixed(2)}`].join(' | '));
  }
}

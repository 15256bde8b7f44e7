/** A whole experiment in seconds: a BERT of one small layer, generated texts, a few steps. */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RunContext } from '../../src/experiment/api.js';
import { loadExperiment, requireClassification } from '../../src/experiment/load.js';
import { type Progress, silentProgress } from '../../src/experiment/progress.js';
import type { RunResult } from '../../src/experiment/result.js';
import { runExperiment } from '../../src/experiment/run.js';
import { RunFolder } from '../../src/experiment/run-folder.js';

const WORDS = {
  good: ['great', 'lovely', 'bright', 'warm', 'clever'],
  bad: ['awful', 'dull', 'grey', 'cold', 'clumsy'],
  either: ['the', 'film', 'was', 'a', 'story', 'about', 'two', 'friends', 'and', 'one', 'long', 'road'],
};

/** Texts of 4 to 11 words, one of which tells the class. */
export function table(rows: number, labels: readonly ('good' | 'bad')[] = ['good', 'bad']): string {
  const lines = Array.from({ length: rows }, (_, row) => {
    const label = labels[row % labels.length]!;
    const words = Array.from({ length: 4 + (row % 8) }, (_, i) => WORDS.either[(row * 7 + i * (1 + (row % 5))) % 12]!);
    words[row % words.length] = WORDS[label][(row >> 1) % 5]!;
    return `${words.join(' ')} ${row}\t${label}`;
  });
  return `text\tlabel\n${lines.join('\n')}\n`;
}

export const TINY = `tandem: 1
name: tiny
seed: 7
model:
  name: bert
  size: { layers: 1, hidden: 16, heads: 2, intermediate: 32 }
task:
  dataset: tsv
  folder: data
  maxTokens: 16
training:
  batchSize: 4
  steps: 6
technique:
  name: leopard
  granularity: head
  thresholdLearningRate: 0.05
tradeoff:
  shifts: [-0.5, 0, 0.5]
machines:
  - preset: leopard-baseline
  - preset: leopard-ae
runtime:
  threads: 1
`;

/** A folder with the experiment and its data. */
export function writeExperiment(folder: string, experiment = TINY, data = table(100)): string {
  mkdirSync(join(folder, 'data'), { recursive: true });
  writeFileSync(join(folder, 'data', 'train.tsv'), data);
  writeFileSync(join(folder, 'experiment.yaml'), experiment);
  return join(folder, 'experiment.yaml');
}

/** Runs into `out`, and lets go of the folder whatever happens. */
export async function runTo(file: string, out: string, context: Partial<RunContext> = {}): Promise<RunResult> {
  const loaded = requireClassification(await loadExperiment(file));
  const folder = await RunFolder.create(loaded, { out });
  return runExperiment(loaded, folder, { progress: silentProgress, ...context }).finally(() => folder.release());
}

export async function resume(path: string): Promise<RunResult> {
  const { folder, loaded } = await RunFolder.resume(path);
  return runExperiment(requireClassification(loaded), folder, { progress: silentProgress }).finally(() =>
    folder.release(),
  );
}

/** Calls back at every start, update and end of a piece of work. */
export function watched(visit: (event: string) => void): Progress {
  return {
    ...silentProgress,
    task(label) {
      visit(`${label}: start`);
      return { update: (done) => visit(`${label}: ${done}`), end: () => visit(`${label}: end`) };
    },
  };
}

/** A context whose signal fires at an event. */
export function stoppedAt(event: string): RunContext {
  const controller = new AbortController();
  return {
    progress: watched((seen) => {
      if (seen === event) controller.abort();
    }),
    signal: controller.signal,
  };
}

/** A copy of a run folder as it is now: what a kill at this moment would leave. */
export function asKilled(run: string, copy: string): string {
  cpSync(run, copy, { recursive: true });
  rmSync(join(copy, 'lock.json'), { force: true });
  return copy;
}

/** result.json without its timings, which alone differ between equal runs. */
export function resultText(run: string): string {
  const { timings: _, ...result } = JSON.parse(readFileSync(join(run, 'result.json'), 'utf8')) as RunResult;
  return JSON.stringify(result, null, 2);
}

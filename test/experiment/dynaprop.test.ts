/** A run that prunes while it trains: what it leaves, and that stopping it changes nothing. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadExperiment } from '../../src/experiment/load.js';
import type { RunResult } from '../../src/experiment/result.js';
import { tracedSteps } from '../../src/experiment/training-trace.js';
import { openTrace } from '../../src/trace/files.js';
import type { MaskRecord } from '../../src/trace/types.js';
import { keptFolder, scratchFolder } from './scratch.js';
import { asKilled, resultText, resume, runTo, stoppedAt, TINY, watched, writeExperiment } from './tiny-run.js';

const TECHNIQUE = `technique:
  name: dynaprop
  forward: { sparsity: 0.3 }
  gradients: { sparsity: 0.9 }
  parameters: { sparsity: 0.6 }
trace: { steps: [1, 4] }
runtime:`;
const DYNAPROP = TINY.replace(/technique:[\s\S]*runtime:/, TECHNIQUE);

const { folder: home, remove } = keptFolder();
afterAll(remove);

let file: string;
let run: string;
let result: RunResult;
beforeAll(async () => {
  file = writeExperiment(home, DYNAPROP);
  run = join(home, 'run');
  result = await runTo(file, run);
});

const adapted = () => result.training.filter(({ stage }) => stage === 'adapted');
const SHARES = ['activations', 'gradients', 'parameter-gradients'];

describe('a run with DynaProp', () => {
  test('says the share of zeros of each kind, step by step and on the mean', () => {
    for (const { monitors } of adapted()) {
      expect(Object.keys(monitors)).toEqual(SHARES.map((kind) => `sparsity.${kind}`));
      for (const share of Object.values(monitors)) expect(share >= 0 && share <= 1).toBe(true);
    }
    expect(adapted()[0]!.monitors['sparsity.activations']).toBe(0);
    expect(adapted()[1]!.monitors['sparsity.activations']).toBeGreaterThan(0.1);
    for (const kind of SHARES) {
      const mean = adapted().reduce((sum, { monitors }) => sum + monitors[`sparsity.${kind}`]!, 0) / adapted().length;
      expect(result.trainingSparsity![kind]).toBe(mean);
    }
  });

  test('shows what other thresholds, and top-k, do to the model that was trained', () => {
    expect(result.curves!.map(({ rule, chosen }) => [rule, chosen])).toEqual([
      ['dynaprop', undefined],
      ['top-k', undefined],
    ]);
    for (const { points } of result.curves!) {
      const zeros = points.map(({ sparsity }) => sparsity);
      expect(zeros.length).toBeGreaterThan(0);
      expect(zeros.every((share) => share >= 0 && share <= 1)).toBe(true);
    }
    const [dynaprop] = result.curves!;
    const zeros = dynaprop!.points.map(({ sparsity }) => sparsity);
    expect(zeros).toEqual([...zeros].sort((a, b) => a - b));
  });

  test('leaves the masks of the steps asked for, as the step itself counted them', async () => {
    expect(result.trainingTrace).toMatchObject({ file: 'training.trace', steps: [1, 4] });
    expect(readFileSync(join(run, 'training.trace')).length).toBe(result.trainingTrace!.bytes);
    const { header, records } = await openTrace(join(run, 'training.trace'));
    expect(header).toMatchObject({ technique: 'dynaprop', sequences: 8, headsPerLayer: [2] });
    expect(header.notes).toMatchObject({ phase: 'training', batch: '4', steps: '1 4' });
    expect(JSON.parse(header.notes.architecture!)).toMatchObject({ layers: [{ hidden: 16, feedForward: [32] }] });
    const masks: MaskRecord[] = [];
    for await (const record of records) if (record.kind === 'mask') masks.push(record);
    for (const step of [1, 4]) {
      const own = masks.filter((mask) => mask.step === step);
      expect([...new Set(own.map(({ sequence }) => sequence))]).toEqual([0, 1, 2, 3]);
      expect([...new Set(own.map(({ phase }) => phase))].sort()).toEqual(['backward', 'forward', 'update']);
      const pruned = own.filter(({ phase, matrix }) => phase === 'backward' && !/input$/.test(matrix));
      const share =
        pruned.reduce((sum, mask) => sum + zerosOf(mask), 0) / pruned.reduce((sum, m) => sum + m.rows * m.columns, 0);
      expect(share).toBeCloseTo(adapted()[step]!.monitors['sparsity.gradients']!, 6);
    }
    expect(masks.every(({ step }) => step === 1 || step === 4)).toBe(true);
  });

  test('prunes the same steps in the same way without a trace', async () => {
    const other = join(scratchFolder(), 'run');
    const untraced = writeExperiment(scratchFolder(), DYNAPROP.replace('[1, 4]', '[5]'));
    const { training } = await runTo(untraced, other);
    expect(training).toEqual(result.training);
  });

  test('leaves nothing half done', () => {
    expect(readdirSync(join(run, 'checkpoints')).sort()).toEqual([
      'adapted.safetensors',
      'baseline.safetensors',
      'warm-up.safetensors',
    ]);
  });

  const FILES = ['checkpoints/adapted.safetensors', 'training.trace', 'run.trace', 'predictions.csv'];
  function expectSameRun(other: string) {
    expect(resultText(other)).toBe(resultText(run));
    for (const name of FILES)
      expect(readFileSync(join(other, name)).equals(readFileSync(join(run, name))), name).toBe(true);
    expect(readdirSync(join(other, 'checkpoints'))).toHaveLength(3);
  }

  test.each(['training adapted: 1', 'training adapted: 3', 'training adapted: 6'])(
    'stopped at "%s" and continued, gives the same bytes: thresholds are where they were',
    async (event) => {
      const other = join(scratchFolder(), 'run');
      await expect(runTo(file, other, stoppedAt(event))).rejects.toMatchObject({ code: 'TANDEM_INTERRUPTED' });
      await resume(other);
      expectSameRun(other);
    },
  );

  test('killed and continued, gives the same bytes', async () => {
    const folder = scratchFolder();
    const wanted = ['training adapted: 2', 'training adapted: 5', 'training adapted: 6', 'training adapted: end'];
    const moments: string[] = [];
    const progress = watched((event) => {
      if (wanted.includes(event)) moments.push(asKilled(join(folder, 'run'), join(folder, `at-${moments.length}`)));
    });
    await runTo(file, join(folder, 'run'), { progress });
    expect(moments).toHaveLength(wanted.length);
    for (const moment of moments) {
      await resume(moment);
      expectSameRun(moment);
    }
  });
});

function zerosOf({ nonZero, rows, columns }: MaskRecord): number {
  let ones = 0;
  for (let bit = 0; bit < rows * columns; bit++) ones += (nonZero[bit >> 3]! >> (bit & 7)) & 1;
  return rows * columns - ones;
}

describe('the steps that are traced', () => {
  test('are those of a list, every n-th, or five that end with the last', () => {
    expect(tracedSteps([9, 3, 3], 10)).toEqual([3, 9]);
    expect(tracedSteps(4, 10)).toEqual([3, 7]);
    expect(tracedSteps(undefined, 100)).toEqual([19, 39, 59, 79, 99]);
    expect(tracedSteps(undefined, 2)).toEqual([0, 1]);
    expect(tracedSteps(undefined, 0)).toEqual([]);
  });

  test.each([
    ['[1, 6]', 'trace.steps'],
    ['0', 'trace.steps'],
    ['[]', 'trace.steps'],
  ])('cannot be %s', async (steps, setting) => {
    const wrong = writeExperiment(scratchFolder(), DYNAPROP.replace('[1, 4]', steps));
    await expect(loadExperiment(wrong)).rejects.toMatchObject({
      code: 'TANDEM_CONFIG_INVALID',
      message: expect.stringContaining(`"${setting}"`),
    });
  });
});

test.each([
  ['{ threshold: 0.1, sparsity: 0.2 }', 'technique.forward'],
  ['{}', 'technique.forward'],
  ['{ sparsity: 1 }', 'technique.forward.sparsity'],
  ['{ threshold: -0.1 }', 'technique.forward.threshold'],
])('options that contradict themselves are refused where they stand: %s', async (forward, setting) => {
  const wrong = writeExperiment(scratchFolder(), DYNAPROP.replace('{ sparsity: 0.3 }', forward));
  await expect(loadExperiment(wrong)).rejects.toMatchObject({
    code: 'TANDEM_CONFIG_INVALID',
    message: expect.stringContaining(`"${setting}"`),
    place: expect.stringMatching(/experiment\.yaml:16:\d+$/),
  });
});

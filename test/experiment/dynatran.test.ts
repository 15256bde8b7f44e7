/** The pipeline with a technique that trains nothing: profile, threshold, curves, masks. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { evaluateModel, exportModel } from '../../src/experiment/models.js';
import { silentProgress } from '../../src/experiment/progress.js';
import type { RunResult } from '../../src/experiment/result.js';
import { readModelFile } from '../../src/graph/onnx/files.js';
import { parseProfile, thresholdFor } from '../../src/techniques/profile.js';
import { openTrace } from '../../src/trace/files.js';
import { summariseTrace } from '../../src/trace/statistics.js';
import type { TransformerArchitecture } from '../../src/workload/transformer.js';
import { keptFolder } from './scratch.js';
import { asKilled, resultText, resume, runTo, stoppedAt, TINY, writeExperiment } from './tiny-run.js';

const technique = (options: string) =>
  TINY.replace(/technique:\n(?: {2}.*\n)+/, `technique: { name: dynatran, ${options} }\n`)
    .replace(/tradeoff:\n(?: {2}.*\n)+/, '')
    .replace(/machines:\n(?: {2}.*\n)+/, '');
const WANTED = 0.3;
const EXPERIMENT = technique(`sparsity: ${WANTED}, grid: [0.002, 0.005, 0.01, 0.1], weightThreshold: 0.01`);
const context = { progress: silentProgress };

const { folder: home, remove } = keptFolder();
afterAll(remove);

let run: string;
let result: RunResult;
beforeAll(async () => {
  run = join(home, 'run');
  result = await runTo(writeExperiment(home, EXPERIMENT), run);
});

const profileOf = () => parseProfile(readFileSync(join(run, 'profile.json'), 'utf8'), 'profile.json');
const curve = (rule: string) => result.curves!.find((one) => one.rule === rule)!;

test('there is no third training: the adapted model has the weights of the baseline', () => {
  expect([...new Set(result.training.map(({ stage }) => stage))]).toEqual(['warm-up', 'baseline']);
  expect(existsSync(join(run, 'checkpoints', 'adapted.safetensors'))).toBe(false);
  expect(result.heads).toEqual([]);
});

test('the threshold comes from the profile of the validation split', () => {
  const profile = profileOf();
  expect(profile).toMatchObject({
    rule: 'dynatran + weight pruning',
    data: { split: 'validation', examples: result.data.validation, sha256: result.data.sha256.validation },
  });
  expect(profile.model.sha256).toMatch(/^[0-9a-f]{64}$/);
  expect(profile.points.map(({ parameter }) => parameter)).toEqual([0, 0.002, 0.005, 0.01, 0.1]);
  for (const { matrices, sparsity } of profile.points) {
    const sum = (part: 'zeros' | 'elements') => matrices.reduce((total, matrix) => total + matrix[part], 0);
    expect(sparsity).toBeCloseTo(sum('zeros') / sum('elements'), 12);
  }
  expect(curve('dynatran + weight pruning').chosen).toBe(thresholdFor(profile, { sparsity: WANTED }));
});

test('curves are those of the test split; the run went on with the chosen point', () => {
  expect(result.curves!.map(({ rule, parameter }) => [rule, parameter])).toEqual([
    ['dynatran + weight pruning', 'τ'],
    ['dynatran', 'τ'],
    ['top-k', 'k'],
  ]);
  const { chosen, points } = curve('dynatran + weight pruning');
  const at = points.find(({ parameter }) => parameter === chosen)!;
  expect(result.accuracy.adapted).toBe(at.accuracy);
  expect(result.pruningRate).toBeCloseTo(at.sparsity, 4);
  expect(Math.abs(result.pruningRate - WANTED)).toBeLessThan(0.1);
  const unpruned = curve('dynatran').points[0]!;
  expect(unpruned).toMatchObject({ parameter: 0, accuracy: result.accuracy.baseline });
  for (const { points: along } of [curve('dynatran'), curve('dynatran + weight pruning')]) {
    const sparsity = along.map((point) => point.sparsity);
    expect(sparsity).toEqual([...sparsity].sort((a, b) => a - b));
  }
  const topK = curve('top-k').points.map((point) => point.sparsity);
  expect(topK).toEqual([...topK].sort((a, b) => b - a));
});

test('the trace holds the masks of every matrix, and the architecture', async () => {
  const summary = await summariseTrace(await openTrace(join(run, 'run.trace')));
  const { header, matrices, sequences, tokens, records } = summary;
  expect(records).toMatchObject({ 'attention-head': 0 });
  expect(sequences).toBe(20);
  expect(tokens).toBeGreaterThan(20 * 6);
  expect(header).toMatchObject({ technique: 'dynatran', layers: 1, headsPerLayer: [2] });
  const architecture = JSON.parse(header.notes.architecture!) as TransformerArchitecture;
  expect(architecture.layers).toMatchObject([{ hidden: 16, feedForward: [32] }]);
  expect(result.masks).toEqual(
    matrices.map(({ layer, matrix, phase, zeros, elements }) => ({ layer, matrix, phase, zeros, elements })),
  );
  const activations = matrices.filter(({ matrix }) => !/weight|input/.test(matrix));
  const sum = (part: 'zeros' | 'elements') => activations.reduce((total, matrix) => total + matrix[part], 0);
  expect(sum('zeros') / sum('elements')).toBe(result.pruningRate);
  const query = matrices.find(({ matrix }) => matrix === 'query.weight')!;
  expect(query).toMatchObject({ records: 1, elements: 256 });
  expect(query.zeros).toBeGreaterThan(0);
});

test('stopped while it is profiled, or while curves are measured, it comes to the same result', async () => {
  for (const [i, event] of ['measuring dynatran + weight pruning: 3', 'measuring top-k: 1'].entries()) {
    const stopped = join(home, `stopped${i}`);
    await expect(runTo(join(home, 'experiment.yaml'), stopped, stoppedAt(event))).rejects.toThrow(
      expect.objectContaining({ code: 'TANDEM_INTERRUPTED' }),
    );
    await resume(asKilled(stopped, `${stopped}-copy`));
    expect(resultText(`${stopped}-copy`)).toBe(resultText(run));
  }
});

test('the exported model has its threshold built in', async () => {
  const output = join(home, 'adapted.onnx');
  await exportModel({ run, output, model: 'adapted' }, context);
  expect(readModelFile(output).inputs.map(({ name }) => name)).toEqual(['input_ids', 'attention_mask']);
  const [own] = await evaluateModel({ source: output, split: 'test', folder: join(home, 'data') }, context);
  expect(own!.metrics.accuracy).toBe(result.accuracy.adapted);
});

describe('is refused', () => {
  const attempt = async (name: string, experiment: string) => {
    const folder = join(home, name);
    return runTo(writeExperiment(folder, experiment), join(folder, 'run'));
  };

  test('with a sparsity that no measured threshold gives', async () => {
    const unreachable = technique('sparsity: 0.999, grid: [0.001, 0.002], topK: []');
    const error = { code: 'TANDEM_TARGET_UNREACHABLE', remedy: expect.stringContaining('grid') };
    await expect(attempt('sparse', unreachable)).rejects.toThrow(expect.objectContaining(error));
  });

  test('with shifts of thresholds, before it trains', async () => {
    const shifted = `${technique('threshold: 0.01')}tradeoff: { shifts: [1] }\n`;
    const error = { code: 'TANDEM_CONFIG_INVALID', place: 'tradeoff.shifts' };
    await expect(attempt('shifted', shifted)).rejects.toThrow(expect.objectContaining(error));
  });
});

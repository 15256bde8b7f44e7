/** The pipeline with a technique that trains nothing: profile, threshold, curves, masks. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { evaluateModel, exportModel } from '../../src/experiment/models.js';
import { comparedWithFirst } from '../../src/experiment/profile.js';
import { silentProgress } from '../../src/experiment/progress.js';
import type { RunResult } from '../../src/experiment/result.js';
import { initializersFromInputs, withOutputs } from '../../src/graph/edit.js';
import { readModelFile } from '../../src/graph/onnx/files.js';
import { floatTensor, type Graph } from '../../src/graph/types.js';
import { collate } from '../../src/runtime/collate.js';
import { Session } from '../../src/runtime/session.js';
import type { Feeds, Fetched } from '../../src/runtime/types.js';
import { THRESHOLD_INPUT, thresholdFeeds } from '../../src/techniques/dynatran.js';
import { parseProfile, thresholdFor } from '../../src/techniques/profile.js';
import { openTrace } from '../../src/trace/files.js';
import { summariseTrace } from '../../src/trace/statistics.js';
import type { TransformerArchitecture } from '../../src/workload/transformer.js';
import { tandem } from '../cli/tandem.js';
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
/** A float32 as evaluations print it. */
const decimal = (value: number) => Number(Math.fround(value).toPrecision(7));
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
  const [unpruned] = profile.points;
  expect(unpruned!.changed).toBe(0);
  for (const { accuracy, changed } of profile.points) {
    expect(Math.abs(accuracy - unpruned!.accuracy)).toBeLessThanOrEqual(changed + 1e-12);
  }
  expect(curve('dynatran + weight pruning').chosen).toBe(thresholdFor(profile, { sparsity: WANTED }));
});

test('predictions that changed are counted against those without pruning', () => {
  const point = (predicted: number[]) => ({ parameter: 0, sparsity: 0, accuracy: 0.5, matrices: [], predicted });
  const points = comparedWithFirst([
    point([0, 1, 1, 0]),
    point([0, 1, 0, 0]),
    point([1, 0, 1, 1]),
    point([0, 1, 1, 0]),
  ]);
  expect(points.map(({ changed }) => changed)).toEqual([0, 0.25, 0.75, 0]);
  expect(points[0]).not.toHaveProperty('predicted');
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

describe('the threshold changes at run time', () => {
  const folder = () => join(home, 'data');
  let output: string;
  beforeAll(async () => {
    output = join(home, 'adapted.onnx');
    await exportModel({ run, output, model: 'adapted' }, context);
  });
  const chosen = () => curve('dynatran + weight pruning').chosen!;

  test('in the exported model: an input, whose default is the chosen one', async () => {
    const exported = readModelFile(output);
    expect(exported.inputs.map(({ name }) => name)).toEqual(['input_ids', 'attention_mask', THRESHOLD_INPUT]);
    expect(exported.initializers.get(THRESHOLD_INPUT)).toEqual(floatTensor([chosen()], []));
    const texts = collate([
      [2, 5, 6, 3],
      [2, 7, 3],
    ]);
    const run = async (model: Graph | Uint8Array, feeds: Feeds = {}) => {
      const session = await Session.create(model, { threads: 1 });
      return session.run({ ...texts, ...feeds }).finally(() => session.dispose());
    };
    const counting = withOutputs(exported, ['logits', 'dynatran.zeros']);
    const byDefault = await run(counting);
    expect((await run(readFileSync(output))).logits).toEqual(byDefault.logits);
    expect(await run(counting, thresholdFeeds(chosen()))).toEqual(byDefault);
    const fed = await run(counting, thresholdFeeds(0.1));
    // The same model with this threshold fixed when it is built.
    expect(fed).toEqual(await run(initializersFromInputs(counting, new Map(Object.entries(thresholdFeeds(0.1))))));
    const zeros = ({ 'dynatran.zeros': counted }: Fetched) => (counted!.data as Float64Array).reduce((a, b) => a + b);
    expect(zeros(fed)).toBeGreaterThan(zeros(byDefault));
  });

  test('in an evaluation, of the run or of the exported model', async () => {
    const { points } = curve('dynatran + weight pruning');
    for (const { parameter, accuracy, sparsity } of points) {
      for (const source of [run, output]) {
        const results = await evaluateModel({ source, split: 'test', folder: folder(), threshold: parameter }, context);
        const adapted = results.find(({ model }) => model === 'adapted')!;
        expect(adapted).toMatchObject({ threshold: decimal(parameter), sparsity, metrics: { accuracy } });
        for (const { model, metrics, threshold } of results) {
          if (model === 'baseline')
            expect([metrics.accuracy, threshold]).toEqual([result.accuracy.baseline, undefined]);
        }
      }
    }
    const [own] = await evaluateModel({ source: output, split: 'test', folder: folder() }, context);
    expect(own).toMatchObject({ threshold: decimal(chosen()), metrics: { accuracy: result.accuracy.adapted } });
    const { stdout } = await tandem('evaluate', output, '--folder', folder(), '--threshold', '0.1', '--format', 'json');
    const rows = JSON.parse(stdout) as { threshold: number; metric: string; value: number }[];
    expect(rows.find(({ metric }) => metric === 'sparsity')).toMatchObject({
      threshold: 0.1,
      value: points.at(-1)!.sparsity,
    });
  });

  test('but not where the model has none', async () => {
    const baseline = join(home, 'baseline.onnx');
    await exportModel({ run, output: baseline, model: 'baseline' }, context);
    const refused = { code: 'TANDEM_CONFIG_INVALID', place: '--threshold 0.1' };
    const attempt = evaluateModel({ source: baseline, split: 'test', folder: folder(), threshold: 0.1 }, context);
    await expect(attempt).rejects.toMatchObject(refused);
    const negative = evaluateModel({ source: output, split: 'test', folder: folder(), threshold: -0.1 }, context);
    await expect(negative).rejects.toMatchObject({ ...refused, place: '--threshold -0.1' });
  });
});

describe('tandem threshold', () => {
  const lookUp = async (...args: string[]) => {
    const { stdout, stderr } = await tandem('threshold', ...args, '--format', 'json');
    return JSON.parse(stdout || stderr) as Record<string, unknown>;
  };

  test('finds the threshold that the run took, in its folder or in the file', async () => {
    for (const source of [run, join(run, 'profile.json')]) {
      expect(await lookUp(source, '--sparsity', String(WANTED))).toMatchObject({
        threshold: curve('dynatran + weight pruning').chosen,
        sparsity: expect.closeTo(WANTED, 12),
        found: expect.stringMatching(/^interpolated between the measured 0\.\d+ and 0\.\d+$/),
        rule: 'dynatran + weight pruning',
        split: 'validation',
        examples: result.data.validation,
      });
    }
    const { stdout } = await tandem('threshold', run, '--sparsity', String(WANTED));
    expect(stdout).toContain('30.00');
    expect((await tandem('threshold', run, '--sparsity', '0.3', '--format', 'csv')).stdout).toMatch(
      /^threshold,sparsity,/,
    );
  });

  test('finds the one for a loss of accuracy, and what to expect there', async () => {
    const { points } = profileOf();
    const found = await lookUp(run, '--accuracy-loss', '0.1');
    const at = points.find(({ parameter }) => parameter === found.threshold)!;
    expect(found).toMatchObject({
      accuracy: at.accuracy,
      accuracyLoss: points[0]!.accuracy - at.accuracy,
      sparsity: at.sparsity,
      found: expect.stringContaining('10 % of the predictions'),
    });
    expect(at.changed).toBeLessThanOrEqual(0.1);
  });

  test('says what can be reached, and where there is nothing to look in', async () => {
    expect(await lookUp(run, '--sparsity', '0.999')).toMatchObject({
      error: { code: 'TANDEM_TARGET_UNREACHABLE', remedy: expect.stringMatching(/reaches from .* to /) },
    });
    expect(await lookUp(home, '--sparsity', '0.3')).toMatchObject({
      error: { code: 'TANDEM_FILE_NOT_FOUND', remedy: expect.stringContaining('dynatran') },
    });
    expect(await lookUp(join(home, 'nowhere'), '--sparsity', '0.3')).toMatchObject({
      error: { code: 'TANDEM_FILE_NOT_FOUND' },
    });
    expect(await lookUp(join(run, 'result.json'), '--sparsity', '0.3')).toMatchObject({
      error: { code: 'TANDEM_CONFIG_INVALID' },
    });
  });
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

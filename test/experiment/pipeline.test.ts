/** The whole pipeline on real, tiny input: what a run writes, that it repeats, that it survives being stopped. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadExperiment, requireClassification } from '../../src/experiment/load.js';
import { evaluateModel, exportModel } from '../../src/experiment/models.js';
import { prepare } from '../../src/experiment/prepare.js';
import { silentProgress } from '../../src/experiment/progress.js';
import type { RunResult } from '../../src/experiment/result.js';
import { trainModel } from '../../src/experiment/run.js';
import { RunFolder } from '../../src/experiment/run-folder.js';
import { GraphBuilder } from '../../src/graph/builder.js';
import { readModelFile, writeModelFile } from '../../src/graph/onnx/files.js';
import { floatTensor, type Tensor } from '../../src/graph/types.js';
import { collate } from '../../src/runtime/collate.js';
import { openTrace } from '../../src/trace/files.js';
import { summariseTrace } from '../../src/trace/statistics.js';
import { VOCABULARY } from '../models/bert-folder.js';
import { keptFolder, scratchFolder } from './scratch.js';
import { asKilled, resultText, resume, runTo, stoppedAt, TINY, table, watched, writeExperiment } from './tiny-run.js';

const context = { progress: silentProgress };
const { folder: home, remove } = keptFolder();
afterAll(remove);

let file: string;
let run: string;
let result: RunResult;
beforeAll(async () => {
  file = writeExperiment(home);
  run = join(home, 'run');
  result = await runTo(file, run);
});

describe('a finished run', () => {
  test('leaves its evidence, and nothing half done', () => {
    expect(readdirSync(run).sort()).toEqual([
      'checkpoints',
      'experiment.yaml',
      'figures',
      'machines.csv',
      'predictions.csv',
      'report.html',
      'resolved.json',
      'result.json',

      'run.trace',
      'state.json',
    ]);
    expect(readdirSync(join(run, 'checkpoints')).sort()).toEqual([
      'adapted.safetensors',
      'baseline.safetensors',
      'warm-up.safetensors',
    ]);
    expect(JSON.parse(readFileSync(join(run, 'result.json'), 'utf8'))).toEqual(JSON.parse(JSON.stringify(result)));
  });

  test('says what was run: model, data, technique', () => {
    expect(result).toMatchObject({
      schemaVersion: 1,
      name: 'tiny',
      seed: 7,
      model: { name: 'bert', sha256: '' },
      data: { name: 'tsv', metric: 'accuracy', train: 72, validation: 8, test: 20 },
      technique: { name: 'leopard', options: { granularity: 'head', queryKeyBits: 12 } },
    });
    for (const hash of Object.values(result.data.sha256)) expect(hash).toMatch(/^[0-9a-f]{64}$/);
  });

  test('has accuracy that its predictions have', () => {
    const [, ...rows] = readFileSync(join(run, 'predictions.csv'), 'utf8').trim().split('\n');
    expect(rows).toHaveLength(20);
    const share = (column: number) => {
      const cells = rows.map((row) => row.split(','));
      return cells.filter((row) => row[1] === row[column]).length / rows.length;
    };
    expect(result.accuracy).toEqual({ baseline: share(2), adapted: share(3), examples: 20 });
    expect(result.metrics.adapted.accuracy).toBe(result.accuracy.adapted);
  });

  test('has pruning that its trace has', async () => {
    const { pruningRate, heads, sequences, tokens } = await summariseTrace(await openTrace(join(run, 'run.trace')));
    expect(result.pruningRate).toBe(pruningRate);
    expect(pruningRate).toBeGreaterThan(0);
    expect(pruningRate).toBeLessThan(1);
    expect(sequences).toBe(20);
    expect(tokens).toBeGreaterThan(20 * 6);
    expect(result.heads.map(({ survivors }) => survivors)).toEqual(heads.map(({ survivors }) => survivors));
    expect(result.trace).toEqual({
      file: 'run.trace',
      sequences: 20,
      bytes: readFileSync(join(run, 'run.trace')).length,
    });
  });

  test('has a course of training: three stages, each step once, thresholds per head', () => {
    const steps = (stage: string) => result.training.filter((point) => point.stage === stage).map(({ step }) => step);
    for (const stage of ['warm-up', 'baseline', 'adapted']) expect(steps(stage)).toEqual([0, 1, 2, 3, 4, 5]);
    const adapted = result.training.filter(({ stage }) => stage === 'adapted');
    for (const { thresholds, penalty, monitors } of adapted) {
      expect(thresholds).toHaveLength(2);
      expect(penalty).toBeGreaterThan(0);
      expect(monitors.alive).toBeGreaterThan(0);
    }
  });

  test('compares machines: both played the same scores, ratios are those of their own numbers', () => {
    const [baseline, leopard] = result.machines;
    if (!baseline?.feasible || !leopard?.feasible) throw new Error('infeasible');
    expect([baseline.name, leopard.name]).toEqual(['leopard-baseline', 'leopard-ae']);
    const scores = result.heads.reduce((sum, head) => sum + head.scores, 0);
    for (const machine of [baseline, leopard]) {
      expect(machine.counts.scores).toBe(scores);
      expect(machine.cycles).toBeGreaterThan(0);
      expect(machine.energyPicojoules).toBeGreaterThan(0);
      expect(machine.areaSquareMicrometres).toBeGreaterThan(0);
      expect(machine.speedup).toBeCloseTo(baseline.cycles / machine.cycles, 12);
      expect(machine.energyRatio).toBeCloseTo(baseline.energyPicojoules / machine.energyPicojoules, 12);
      expect(machine.areaRatio).toBeCloseTo(machine.areaSquareMicrometres / baseline.areaSquareMicrometres, 12);
    }
    expect(leopard.counts.survivors).toBe(result.heads.reduce((sum, head) => sum + head.survivors, 0));
    expect(result.meanBits).toBeCloseTo(leopard.counts.bitsProcessed! / scores, 9);
    expect(result.meanBits).toBeLessThan(12);
  });

  test('trades pruning for shifts of the thresholds, through the learned point', () => {
    expect(result.tradeoff.map(({ shift }) => shift)).toEqual([-0.5, 0, 0.5]);
    const [lower, learned, higher] = result.tradeoff;
    expect(learned).toMatchObject({ accuracy: result.accuracy.adapted });
    expect(learned!.pruningRate).toBeCloseTo(result.pruningRate, 12);
    expect(lower!.pruningRate).toBeLessThan(learned!.pruningRate);
    expect(higher!.pruningRate).toBeGreaterThan(learned!.pruningRate);
  });

  test('run again on its folder, is read, not computed', async () => {
    const started: string[] = [];
    const { folder, loaded } = await RunFolder.resume(run);
    const { runExperiment } = await import('../../src/experiment/run.js');
    const again = await runExperiment(requireClassification(loaded), folder, {
      progress: watched((event) => started.push(event)),
    }).finally(() => folder.release());
    expect(again).toEqual(JSON.parse(JSON.stringify(result)));
    expect(started).toEqual([]);
  });
});

/** Everything that must be equal between equal runs. */
const EVIDENCE = ['run.trace', 'predictions.csv', 'machines.csv', 'report.html', 'checkpoints/adapted.safetensors'];

function expectSameEvidence(other: string): void {
  expect(resultText(other)).toBe(resultText(run));
  for (const name of EVIDENCE)
    expect(readFileSync(join(other, name)).equals(readFileSync(join(run, name))), name).toBe(true);
}

describe('the same run', () => {
  test('twice, gives the same bytes', async () => {
    const other = join(home, 'again');
    await runTo(file, other);
    expectSameEvidence(other);
  });

  test('trained first and run later, gives the same bytes', async () => {
    const other = join(home, 'in-two');
    const loaded = requireClassification(await loadExperiment(file));
    const folder = await RunFolder.create(loaded, { out: other });
    const summary = await trainModel(loaded, folder, context).finally(() => folder.release());
    expect(summary.accuracy).toEqual(result.accuracy);
    expect(summary.pruningRate).toBe(result.pruningRate);
    await resume(other);
    expectSameEvidence(other);
  });

  test.each([
    'training warm-up: 2',
    'training adapted: 3',
    'testing and tracing leopard: 20',
    'simulating leopard-baseline, leopard-ae: 10',
    'thresholds +0: 20',
  ])('stopped at "%s" and continued, gives the same bytes', async (event) => {
    const other = join(scratchFolder(), 'run');
    await expect(runTo(file, other, stoppedAt(event))).rejects.toMatchObject({
      code: 'TANDEM_INTERRUPTED',
      place: other,
      remedy: expect.stringContaining(`--resume ${other}`),
    });
    expect(existsSync(join(other, 'result.json'))).toBe(false);
    await resume(other);
    expectSameEvidence(other);
  });

  test('killed at any moment and continued, gives the same bytes', async () => {
    const folder = scratchFolder();
    const moments: string[] = [];
    const wanted = [
      'training baseline: start',
      'training adapted: 6',
      'training adapted: end',
      'writing the report: start',
    ];
    const progress = watched((event) => {
      if (wanted.includes(event)) moments.push(asKilled(join(folder, 'run'), join(folder, `at-${moments.length}`)));
    });
    await runTo(file, join(folder, 'run'), { progress });
    expect(moments).toHaveLength(wanted.length);
    for (const moment of moments) {
      await resume(moment);
      expectSameEvidence(moment);
    }
  });
});

describe('an exported model', () => {
  let exported: string;
  let unpadded: string;
  beforeAll(async () => {
    exported = join(home, 'adapted.onnx');
    unpadded = join(home, 'baseline.onnx');
    const summary = await exportModel({ run, output: exported, model: 'adapted' }, context);
    expect(summary).toMatchObject({ inputs: ['input_ids', 'attention_mask'], outputs: ['logits'] });
    expect(summary.bytes).toBe(readFileSync(exported).length);
    await exportModel({ run, output: unpadded, model: 'baseline' }, context);
  });

  test('predicts in plain ONNX Runtime what the run predicted', async () => {
    const { test: split, dataset } = await prepare(requireClassification(await loadExperiment(file)));
    const [, ...rows] = readFileSync(join(run, 'predictions.csv'), 'utf8').trim().split('\n');
    for (const [path, column] of [
      [exported, 3],
      [unpadded, 2],
    ] as const) {
      const session = await ort.InferenceSession.create(path);
      const logitsOf = async (batch: readonly (readonly number[])[]) => {
        const { input_ids, attention_mask } = collate(batch);
        const feed = ({ dtype, data, shape }: Tensor) =>
          new ort.Tensor(dtype as 'float32', data as Float32Array, shape);
        const { logits } = await session.run({ input_ids: feed(input_ids), attention_mask: feed(attention_mask) });
        return logits!.data as Float32Array;
      };
      const logits = await logitsOf(split.ids);
      const predicted = split.ids.map((_, i) => dataset.classes[logits[2 * i + 1]! > logits[2 * i]! ? 1 : 0]!);
      expect(predicted).toEqual(rows.map((row) => row.split(',')[column]));
      // Padding changes nothing but rounding: alone, a text has the logits that it has in a batch.
      for (const [i, ids] of split.ids.entries()) {
        const alone = await logitsOf([ids]);
        expect(Math.max(Math.abs(alone[0]! - logits[2 * i]!), Math.abs(alone[1]! - logits[2 * i + 1]!))).toBeLessThan(
          1e-3,
        );
      }
      await session.release();
    }
  });

  test('and the run folder are evaluated to the accuracy of the run, from any working folder', async () => {
    const expected = ['baseline', 'adapted'].map((model) => ({
      model,
      dataset: 'tsv',
      split: 'test',
      examples: 20,
      metrics: result.metrics[model as 'baseline' | 'adapted'],
    }));
    expect(await evaluateModel({ source: run, split: 'test' }, context)).toEqual(expected);
    // An exported file carries no path of the machine it was made on, so it is told where the data lie.
    const folder = join(dirname(file), 'data');
    expect(await evaluateModel({ source: exported, folder, split: 'test' }, context)).toEqual(expected.slice(1));
    expect(await evaluateModel({ source: unpadded, folder, split: 'test' }, context)).toEqual(expected.slice(0, 1));
    const few = await evaluateModel({ source: exported, folder, split: 'validation', examples: 3 }, context);
    expect(few).toMatchObject([{ split: 'validation', examples: 3 }]);
  });

  test('and other data with another number of classes do not go together', async () => {
    const folder = scratchFolder();
    writeFileSync(join(folder, 'train.tsv'), `${table(30)}a third kind\tneither\nanother third\tneither\n`);
    await expect(
      evaluateModel({ source: exported, dataset: 'tsv', folder, split: 'test' }, context),
    ).rejects.toMatchObject({
      code: 'TANDEM_CONFIG_INVALID',
    });
  });

  test('needs a run whose training is done, and a place that can be written', async () => {
    const other = join(scratchFolder(), 'run');
    await expect(runTo(file, other, stoppedAt('training adapted: 1'))).rejects.toMatchObject({
      code: 'TANDEM_INTERRUPTED',
    });
    await expect(
      exportModel({ run: other, output: join(home, 'x.onnx'), model: 'adapted' }, context),
    ).rejects.toMatchObject({
      code: 'TANDEM_CANNOT_RESUME',
    });
    await expect(exportModel({ run, output: join(file, 'x.onnx'), model: 'adapted' }, context)).rejects.toMatchObject({
      code: 'TANDEM_NOT_WRITABLE',
    });
  });

  test('with a weight that is no number is not evaluated', async () => {
    const path = join(home, 'damaged.onnx');
    await exportModel({ run, output: path, model: 'baseline' }, context);
    const graph = readModelFile(path);
    const [name, weight] = [...graph.initializers].find(([, { dtype }]) => dtype === 'float32')!;
    const data = Float32Array.from(weight.data as Float32Array).fill(Number.NaN, 0, 1);
    writeModelFile(path, {
      ...graph,
      initializers: new Map(graph.initializers).set(name, { ...weight, data } as Tensor),
    });
    await expect(evaluateModel({ source: path, split: 'test' }, context)).rejects.toMatchObject({
      code: 'TANDEM_WEIGHTS_NOT_FINITE',
      place: expect.stringContaining(name),
    });
  });

  test('of other origin is not evaluated', async () => {
    const path = join(scratchFolder(), 'other.onnx');
    const b = new GraphBuilder('other');
    b.output(b.op('Relu', [b.input('x', 'float32', [1])]));
    writeModelFile(path, b.finish());
    await expect(evaluateModel({ source: path, split: 'test' }, context)).rejects.toMatchObject({
      code: 'TANDEM_MODEL_UNSUPPORTED',
    });
  });
});

describe('what cannot be written', () => {
  /** Puts something else where the run wants to write, at the start of the stage that does. */
  async function blocked(event: string, place: (run: string) => void): Promise<string> {
    const other = join(scratchFolder(), 'run');
    const progress = watched((seen) => {
      if (seen === event) place(other);
    });
    await expect(runTo(file, other, { progress })).rejects.toMatchObject({
      code: 'TANDEM_NOT_WRITABLE',
      place: expect.stringContaining(other),
    });
    expect(existsSync(join(other, 'result.json'))).toBe(false);
    return other;
  }
  const folderAt = (name: string) => (other: string) => mkdirSync(join(other, name, 'in-the-way'), { recursive: true });
  const fileAt = (name: string) => (other: string) => writeFileSync(join(other, name), '');

  test.each([
    ['the trace', 'testing baseline: start', folderAt('run.trace')],
    ['predictions', 'testing baseline: start', folderAt('predictions.csv')],
    ['the report', 'writing the report: start', folderAt('report.html')],
    ['figures', 'writing the report: start', fileAt('figures')],
    ['weights', 'training warm-up: start', folderAt('checkpoints/warm-up.safetensors')],
  ])('%s: the run says so and writes no result', async (_, event, place) => {
    const other = await blocked(event, place);
    expect(readdirSync(other, { recursive: true }).filter((name) => String(name).includes('partial'))).toEqual([]);
  });

  test('result.json itself: no half of it appears', async () => {
    const other = join(scratchFolder(), 'run');
    const progress = watched((seen) => {
      if (seen === 'writing the report: start') folderAt('result.json')(other);
    });
    await expect(runTo(file, other, { progress })).rejects.toMatchObject({ code: 'TANDEM_NOT_WRITABLE' });
    expect(readdirSync(join(other, 'result.json'))).toEqual(['in-the-way']);
  });
});

describe('input that cannot be trained on', () => {
  const runWith = (data: string, experiment = TINY) => {
    const folder = scratchFolder();
    const out = join(folder, 'run');
    const attempt = runTo(writeExperiment(folder, experiment, data), out);
    return { attempt, out };
  };

  test.each([
    ['no rows', ''],
    ['a header alone', 'text\tlabel\n'],
    ['one class', table(40, ['good'])],
    ['too few examples for a test split', table(2)],
  ])('%s', async (_, data) => {
    const { attempt, out } = runWith(data);
    await expect(attempt).rejects.toMatchObject({
      code: 'TANDEM_DATA_INVALID',
      place: expect.stringContaining('data'),
      remedy: expect.any(String),
    });
    expect(existsSync(join(out, 'result.json'))).toBe(false);
  });

  test('a weight that is NaN', async () => {
    const folder = scratchFolder();
    const b = new GraphBuilder('broken');
    const ids = b.input('input_ids', 'int64', ['batch', 'tokens']);
    const rows = floatTensor(new Array<number>(16 * 4).fill(0.5), [16, 4]);
    (rows.data as Float32Array)[5] = Number.NaN;
    const words = b.op('Gather', [b.initializer('words', rows), ids]);
    const scores = b.matmul(words, b.transpose(words, [0, 2, 1]));
    b.output(b.op('Identity', [b.matmul(b.softmax(scores, -1), words)], {}, 'last_hidden_state'));
    writeModelFile(join(folder, 'model.onnx'), b.finish());
    writeFileSync(join(folder, 'vocab.txt'), VOCABULARY.join('\n'));
    const experiment = TINY.replace(/model:[\s\S]*?task:/, 'model:\n  name: onnx\n  file: model.onnx\ntask:');
    await expect(runTo(writeExperiment(folder, experiment), join(folder, 'run'))).rejects.toMatchObject({
      code: 'TANDEM_WEIGHTS_NOT_FINITE',
    });
  });
});

/** Decoders trained from an experiment file, on a few sentences. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exitWeights } from '../../src/experiment/decoding/exit-weights.js';
import type { DecodingResult } from '../../src/experiment/decoding/result.js';
import { runDecoding, trainDecoding } from '../../src/experiment/decoding/run.js';
import { trainingFeeds } from '../../src/experiment/decoding/sequences.js';
import { type LoadedDecoding, parseExperiment } from '../../src/experiment/load.js';
import { silentProgress } from '../../src/experiment/progress.js';
import { RunFolder } from '../../src/experiment/run-folder.js';
import { readBytePairTokenizer } from '../../src/models/byte-pair-files.js';
import { buildGpt2 } from '../../src/models/gpt2.js';
import { readGpt2Folder } from '../../src/models/gpt2-folder.js';
import { readSafetensors } from '../../src/runtime/safetensors-files.js';
import { openTrace } from '../../src/trace/files.js';
import { summariseTrace } from '../../src/trace/statistics.js';
import { keptFolder, scratchFolder } from './scratch.js';

const EXPERIMENT = `
tandem: 1
name: tiny-gpt
decoder:
  name: gpt2
  size: { layers: 3, hidden: 16, heads: 2, vocabulary: 300, context: 16 }
text: { corpora: [files], folder: texts, heldOut: 0.2 }
training: { batchSize: 4, steps: 12, learningRate: 1e-2, exitSequences: 2 }
runtime: { threads: 1 }
`;

function load(folder: string, text = EXPERIMENT): LoadedDecoding {
  const loaded = parseExperiment(new TextEncoder().encode(text), 'e.yaml', { baseFolder: folder });
  if (loaded.kind !== 'decoding') throw new Error('not about decoding');
  return loaded;
}

function texts(folder = scratchFolder()): string {
  mkdirSync(join(folder, 'texts'));
  for (let i = 0; i < 12; i++) {
    const text = `The cat number ${i} sat on the mat. `.repeat(8 + (i % 3));
    writeFileSync(join(folder, 'texts', `${String(i).padStart(2, '0')}.txt`), text);
  }
  return folder;
}

async function trained(folder: string, out: string, signal?: AbortSignal) {
  const loaded = load(folder);
  const run = await RunFolder.create(loaded, { out });
  return trainDecoding(loaded, run, { progress: silentProgress, signal }).finally(() => run.release());
}

describe('training a decoder', () => {
  const { folder, remove } = keptFolder();
  afterAll(remove);
  let run: string;
  let summary: Awaited<ReturnType<typeof trained>>;

  beforeAll(async () => {
    texts(folder);
    run = join(folder, 'run');
    summary = await trained(folder, run);
  });

  it('makes every exit better than chance on text that it never saw', () => {
    expect(summary.losses).toHaveLength(3);
    for (const loss of summary.losses) expect(loss).toBeLessThan(Math.log(300));
  });

  it('writes a folder from which the same decoder comes back, in half precision', async () => {
    const { config, weights } = await readGpt2Folder(join(run, 'model'));
    expect(config).toMatchObject({ layers: 3, hidden: 16, heads: 2, context: 16 });
    const { graph, trainable } = buildGpt2(config, weights);
    const { tensors } = await readSafetensors(join(run, 'checkpoints', 'decoder.safetensors'));
    for (const name of trainable) {
      const read = graph.initializers.get(name)!.data as Float32Array;
      const full = tensors.get(name)!.data as Float32Array;
      // Half precision keeps 11 bits.
      for (const [i, value] of read.entries())
        expect(Math.abs(value - full[i]!)).toBeLessThanOrEqual(Math.abs(full[i]!) / 2048 + 2 ** -25);
    }
    const tokenizer = await readBytePairTokenizer(join(run, 'model'));
    expect(tokenizer.decode(tokenizer.encode('The cat sat: café'))).toBe('The cat sat: café');
    expect(readFileSync(join(run, 'model', 'README.md'), 'utf8')).toContain('Loss on the test split');
  });

  it('stopped and resumed, comes to the same weights', async () => {
    const stop = new AbortController();
    const out = join(folder, 'stopped');
    const loaded = load(folder);
    const first = await RunFolder.create(loaded, { out });
    const progress = {
      ...silentProgress,
      task: () => ({ update: (done: number) => done === 5 && stop.abort(), end() {} }),
    };
    await expect(trainDecoding(loaded, first, { progress, signal: stop.signal })).rejects.toThrow();
    await first.release();
    const { folder: again } = await RunFolder.resume(out);
    await trainDecoding(loaded, again, { progress: silentProgress }).finally(() => again.release());
    const file = (path: string) => readFileSync(join(path, 'model', 'model.safetensors'));
    expect(file(out).equals(file(run))).toBe(true);
  });
});

describe('a run', () => {
  const { folder, remove } = keptFolder();
  afterAll(remove);
  let run: string;
  let result: DecodingResult;

  beforeAll(async () => {
    texts(folder);
    run = join(folder, 'run');
    const machines = 'machines: [{ preset: toex-dense }, { preset: toex-hbm2 }]\n';
    const technique = 'technique: { name: toex, candidates: 8, budget: { loss: 0.2, confidence: 0.5 } }\n';
    const loaded = load(folder, EXPERIMENT + technique + machines);
    const opened = await RunFolder.create(loaded, { out: run });
    result = await runDecoding(loaded, opened, { progress: silentProgress }).finally(() => opened.release());
  });

  it('keeps the budget on the text that thresholds were chosen on', () => {
    const { full, calibrated, uniform } = result.calibration!;
    expect(calibrated.perplexity).toBeLessThanOrEqual(1.2 * full.perplexity * (1 + 1e-5));
    expect(uniform.perplexity).toBeLessThanOrEqual(1.2 * full.perplexity * (1 + 1e-5));
    expect(full).toMatchObject({ agreement: 1, meanDecoders: 3 });
  });

  it('says of every number what it must: shares add up, depths agree with the trace and the machines', async () => {
    const { exitShares, quality, trace, machines, exitLosses } = result;
    expect(exitShares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 12);
    const mean = exitShares.reduce((sum, share, layer) => sum + share * (layer + 1), 0);
    expect(mean).toBeCloseTo(quality.adapted.meanDecoders, 9);
    expect(Math.exp(exitLosses.at(-1)!)).toBeCloseTo(quality.full.perplexity, 3);
    const summary = await summariseTrace(await openTrace(join(run, trace.file)));
    expect(summary.tokens).toBe(quality.tokens);
    expect(summary.exits.map((tokens) => tokens / summary.tokens)).toEqual(
      exitShares.map((share) => expect.closeTo(share, 12)),
    );
    const [dense, early] = machines;
    expect(dense).toMatchObject({ feasible: true, counts: { decodersLoaded: 3 * quality.tokens } });
    const depths = summary.exits.reduce((sum, tokens, layer) => sum + tokens * (layer + 1), 0);
    expect(early).toMatchObject({ feasible: true, counts: { decodersLoaded: depths } });
  });

  it('leaves a report, the calibrated rules and the machines’ table', () => {
    const page = readFileSync(join(run, 'report.html'), 'utf8');
    expect(page).toContain('tiny-gpt');
    expect(page).toContain('state propagation');
    const rules = JSON.parse(readFileSync(join(run, 'model', 'early-exit.json'), 'utf8'));
    expect(rules).toMatchObject({ candidates: 8, thresholds: { length: 2 } });
    expect(readFileSync(join(run, 'machines.csv'), 'utf8').split('\n')).toHaveLength(4);
  });

  it('measures the rivals at the same thresholds', () => {
    expect(result.quality.rivals.map(({ name }) => name)).toEqual(['state propagation', 'no back-fill']);
    // The first layer sees all keys in every mode.
    for (const { perplexity } of result.quality.rivals) expect(perplexity).toBeGreaterThan(1);
  });

  it('run again on its folder, is read, not computed', async () => {
    const { folder: opened, loaded } = await RunFolder.resume(run);
    if (loaded.kind !== 'decoding') throw new Error('not about decoding');
    const again = await runDecoding(loaded, opened, { progress: silentProgress }).finally(() => opened.release());
    expect(again).toEqual(JSON.parse(JSON.stringify(result)));
  });

  it('with given thresholds calibrates nothing', async () => {
    const given = `${EXPERIMENT}technique: { name: toex, candidates: 8, threshold: [0, 2] }\n`;
    const loaded = load(folder, given);
    const opened = await RunFolder.create(loaded, { out: join(folder, 'given') });
    const early = await runDecoding(loaded, opened, { progress: silentProgress }).finally(() => opened.release());
    expect(early.calibration).toBeUndefined();
    expect(early.exitShares).toEqual([1, 0, 0]);
    expect(early.quality.adapted.perplexity).toBeCloseTo(Math.exp(early.exitLosses[0]!), 3);
  });
});

describe('an experiment on decoding', () => {
  it.each([
    ['thresholds for another number of layers', 'threshold: [0.5]', 'technique.threshold'],
    ['checks beyond its layers', 'checks: [3]', 'technique.checks'],
  ])('with %s is refused', async (_, option, place) => {
    const folder = texts();
    const loaded = load(folder, `${EXPERIMENT}technique: { name: toex, ${option} }\n`);
    const opened = await RunFolder.create(loaded, { out: join(folder, 'run') });
    const failed = runDecoding(loaded, opened, { progress: silentProgress }).finally(() => opened.release());
    await expect(failed).rejects.toMatchObject({ code: 'TANDEM_CONFIG_INVALID', place });
  });

  it.each([
    ['a threshold out of range', 'threshold: 1.5'],
    ['no candidates', 'candidates: 0'],
  ])('with %s is refused with its place', (_, option) => {
    const text = `${EXPERIMENT}technique: { name: toex, ${option} }\n`;
    expect(() => load('/', text)).toThrow(
      expect.objectContaining({ code: 'TANDEM_CONFIG_INVALID', place: expect.stringContaining('e.yaml:') }),
    );
  });

  it('that trains nothing needs weights', async () => {
    const folder = texts();
    const loaded = load(folder, EXPERIMENT.replace(/^training.*$/m, ''));
    const run = await RunFolder.create(loaded, { out: join(folder, 'run') });
    await expect(trainDecoding(loaded, run, { progress: silentProgress })).rejects.toMatchObject({
      code: 'TANDEM_CONFIG_INVALID',
      place: 'training',
    });
    await run.release();
  });

  it.each([
    ['two sources of weights', EXPERIMENT.replace('name: gpt2', 'name: gpt2\n  folder: x'), 'TANDEM_CONFIG_INVALID'],
    ['heads that do not divide', EXPERIMENT.replace('heads: 2', 'heads: 3'), 'TANDEM_CONFIG_INVALID'],
    ['an unknown corpus', EXPERIMENT.replace('[files]', '[file]'), 'TANDEM_UNKNOWN_NAME'],
    ['a mistyped setting', EXPERIMENT.replace('heldOut', 'heldout'), 'TANDEM_UNKNOWN_SETTING'],
  ])('with %s is refused with its place', (_, text, code) => {
    expect(() => load('/', text)).toThrow(expect.objectContaining({ code, place: expect.stringContaining('e.yaml:') }));
  });
});

describe('the weights of exits', () => {
  it('are alike, in proportion to depth, the last one only, or as given', () => {
    expect(exitWeights({ exitWeights: 'uniform' }, 3)).toEqual([1, 1, 1]);
    expect(exitWeights({ exitWeights: 'depth' }, 3)).toEqual([1, 2, 3]);
    expect(exitWeights({ exitWeights: 'last' }, 3)).toEqual([0, 0, 1]);
    expect(exitWeights({ exitWeights: [0, 2, 5] }, 3)).toEqual([0, 2, 5]);
  });

  it.each([[[1, 2]], [[0, 0, 0]]])('%j are refused for three layers', (given) => {
    expect(() => exitWeights({ exitWeights: given }, 3)).toThrow(
      expect.objectContaining({ code: 'TANDEM_CONFIG_INVALID', place: 'training.exitWeights' }),
    );
  });
});

describe('sequences for training', () => {
  const text = Uint16Array.from({ length: 100 }, (_, i) => i);

  it('have the token after each as its target, wherever they begin', () => {
    const { input_ids, targets } = trainingFeeds(text, [0, 5, 9, 23, 400], 10);
    const [ids, next] = [input_ids!.data as BigInt64Array, targets!.data as BigInt64Array];
    ids.forEach((id, i) => {
      expect(next[i]).toBe(id + 1n);
    });
  });

  it('lie evenly over the text, however few are taken', () => {
    const most = 100 - 10 - 1; // one more token must follow
    for (const taken of [5, 13, 40]) {
      const examples = Array.from({ length: taken }, (_, example) => example);
      const ids = trainingFeeds(text, examples, 10).input_ids!.data as BigInt64Array;
      const starts = examples.map((example) => Number(ids[10 * example])).sort((a, b) => a - b);
      const gaps = [...starts, most].map((start, i) => start - (starts[i - 1] ?? 0));
      expect(Math.max(...gaps)).toBeLessThanOrEqual((3 * most) / taken);
      expect(starts.at(-1)).toBeLessThanOrEqual(most);
    }
  });
});

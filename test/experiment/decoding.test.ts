/** Decoders trained from an experiment file, on a few sentences. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { trainDecoding } from '../../src/experiment/decoding/run.js';
import { trainingFeeds } from '../../src/experiment/decoding/sequences.js';
import { exitWeights } from '../../src/experiment/decoding/train.js';
import { type LoadedDecoding, parseExperiment } from '../../src/experiment/load.js';
import { silentProgress } from '../../src/experiment/progress.js';
import { RunFolder } from '../../src/experiment/run-folder.js';
import { readBytePairTokenizer } from '../../src/models/byte-pair-files.js';
import { buildGpt2 } from '../../src/models/gpt2.js';
import { readGpt2Folder } from '../../src/models/gpt2-folder.js';
import { readSafetensors } from '../../src/runtime/safetensors-files.js';
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

describe('an experiment on decoding', () => {
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

  it('cut the text at other places each time', () => {
    const { input_ids } = trainingFeeds(text, [0, 8, 16, 24], 10);
    const starts = [0, 10, 20, 30].map((at) => (input_ids!.data as BigInt64Array)[at]);
    expect(new Set(starts).size).toBe(4);
  });
});

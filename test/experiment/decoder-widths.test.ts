/** DTQAtten on a decoder from an experiment file: search, confirmation, trace of steps, machines. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mean } from 'simple-statistics';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { changeInterval, largestPerplexityLoss } from '../../src/experiment/decoder-widths/losses.js';
import type { DecoderWidthsResult } from '../../src/experiment/decoder-widths/result.js';
import { runDecoderWidths } from '../../src/experiment/decoder-widths/run.js';
import { trainDecoding } from '../../src/experiment/decoding/run.js';
import { type Loaded, parseExperiment } from '../../src/experiment/load.js';
import { silentProgress } from '../../src/experiment/progress.js';
import { RunFolder } from '../../src/experiment/run-folder.js';
import { openTrace } from '../../src/trace/files.js';
import { isDecoding } from '../../src/trace/steps.js';
import type { TokenBitsRecord } from '../../src/trace/types.js';
import { keptFolder } from './scratch.js';
import { stoppedAt } from './tiny-run.js';

const LAYERS = 3;
const CONTEXT = 16;

const TRAINING = `
tandem: 1
name: tiny-gpt
decoder:
  name: gpt2
  size: { layers: ${LAYERS}, hidden: 16, heads: 2, vocabulary: 300, context: ${CONTEXT} }
text: { corpora: [files], folder: texts, heldOut: 0.4 }
training: { batchSize: 4, steps: 12, learningRate: 1e-2 }
runtime: { threads: 1 }
`;

const SEARCH = `search:
  machine: array
  perplexityBudget: 0.2
  confidence: 0.6
  samplers: [{ name: greedy }, { name: random }]
  trials: 5
  repetitions: 2
  calibration: 4
`;

const EXPERIMENT = `
tandem: 1
name: tiny-widths
seed: 3
decoder: { name: gpt2, folder: trained/model }
text: { corpora: [files], folder: texts, heldOut: 0.4, sequences: 12 }
technique: { name: dtqatten }
${SEARCH}rivals:
  - name: removal alone
    technique: { name: dtqatten, widths: [8, 0] }
    search: { samplers: [{ name: greedy }], trials: 3, calibration: 4, perplexityBudget: 0.3, confidence: 0.6 }
    machines: [{ preset: spatten-1-8, set: { valueShare: 1 } }]
trace: { sequences: 2 }
machines: [{ preset: eyeriss-40nm }, { preset: vssa, name: array }, { preset: vssa-dense }]
shapes: { models: [gpt2], tokens: 12, sequences: 1 }
runtime: { threads: 1 }
`;

const { folder, remove } = keptFolder();
afterAll(remove);

const load = (text: string): Loaded =>
  parseExperiment(new TextEncoder().encode(text), 'e.yaml', { baseFolder: folder });

async function run(out: string, text = EXPERIMENT, context: Partial<Parameters<typeof runDecoderWidths>[2]> = {}) {
  const loaded = load(text);
  if (loaded.kind !== 'decoder-widths') throw new Error('not about widths');
  const opened = await RunFolder.create(loaded, { out: join(folder, out) });
  return runDecoderWidths(loaded, opened, { progress: silentProgress, ...context }).finally(() => opened.release());
}

beforeAll(async () => {
  mkdirSync(join(folder, 'texts'));
  for (let i = 0; i < 12; i++) {
    const text = `The cat number ${i} sat on the mat. `.repeat(8 + (i % 3));
    writeFileSync(join(folder, 'texts', `${String(i).padStart(2, '0')}.txt`), text);
  }
  const loaded = load(TRAINING);
  if (loaded.kind !== 'decoding') throw new Error('not about decoding');
  const opened = await RunFolder.create(loaded, { out: join(folder, 'trained') });
  await trainDecoding(loaded, opened, { progress: silentProgress }).finally(() => opened.release());
});

describe('a run', () => {
  let result: DecoderWidthsResult;
  beforeAll(async () => {
    result = await run('run');
  });

  it('chooses a point that keeps the budget in calibration, and at worst in confirmation too', () => {
    const { chosen, calibration, confirmation, perplexityBudget, samplers } = result.search!;
    expect(calibration.sequences + confirmation.sequences).toBe(12);
    expect(chosen.confirmedAtMost).toBeLessThanOrEqual(perplexityBudget);
    expect(chosen.confirmed / confirmation.baseline - 1).toBeLessThanOrEqual(chosen.confirmedAtMost + 1e-9);
    expect(confirmation.tests.filter(({ atMost }) => atMost <= perplexityBudget).at(-1)!.cost).toBe(chosen.cost);
    if (chosen.cost < 1) expect(chosen.perplexity / calibration.baseline - 1).toBeLessThanOrEqual(perplexityBudget);
    expect(samplers.map(({ name, runs }) => [name, runs.map(({ seed }) => seed)])).toEqual([
      ['greedy', [3, 4]],
      ['random', [3, 4]],
    ]);
  });

  it('takes the measured shares to the sizes of other decoders, on the machines of each trace', () => {
    const [{ model, tokens, machines }] = result.shapes as [NonNullable<typeof result.shapes>[number]];
    expect([model, tokens]).toEqual(['gpt2', 12]);
    expect(machines.map(({ name, feasible }) => [name, feasible])).toEqual(
      result.machines.map(({ name }) => [name, true]),
    );
  });

  it('compares machines at equal size where asked', async () => {
    const equal = EXPERIMENT.replace(SEARCH, '')
      .replace(/rivals:[\s\S]*?\ntrace/, 'trace')
      .replace('runtime:', 'equal: area\nruntime:');
    const { machines, ...rest } = await run('equal', equal);
    expect(rest.equal).toBe('area');
    for (const machine of machines) {
      expect(machine.feasible && Math.abs(Math.log(machine.areaRatio))).toBeLessThan(0.15);
    }
  });

  it('records every step: its tokens, its own one last and never removed, widths falling with depth', async () => {
    const { header, records } = await openTrace(join(folder, 'run', result.trace.file));
    expect(isDecoding(header)).toBe(true);
    const steps: TokenBitsRecord[] = [];
    for await (const record of records) if (record.kind === 'token-bits') steps.push(record);
    const places = Array.from({ length: 2 * CONTEXT * LAYERS }, (_, at) => ({
      sequence: Math.floor(at / (CONTEXT * LAYERS)),
      tokens: (Math.floor(at / LAYERS) % CONTEXT) + 1,
      layer: at % LAYERS,
    }));
    expect(steps.map(({ sequence, bits, layer }) => ({ sequence, tokens: bits.length, layer }))).toEqual(places);
    for (const [at, { layer, bits }] of steps.entries()) {
      expect(bits.at(-1)).toBeGreaterThan(0);
      if (layer === 0) continue;
      const above = steps[at - 1]!.bits;
      bits.forEach((width, token) => void expect(width).toBeLessThanOrEqual(above[token]!));
    }
  });

  it('plays these steps: the array leaves out what was removed, the dense ones do not', () => {
    const count = (name: string, of: string) => {
      const machine = result.machines.find((one) => one.name === name)!;
      return machine.feasible ? machine.counts[of]! : Number.NaN;
    };
    // Two products, 2 heads of 8, over 1 … 16 tokens, in 2 sequences.
    const dense = 2 * 2 * 8 * LAYERS * 2 * ((CONTEXT * (CONTEXT + 1)) / 2);
    expect(count('eyeriss-40nm', 'macs')).toBe(dense);
    expect(count('vssa-dense', 'products')).toBe(dense);
    expect(count('array', 'products') + count('array', 'productsSkipped')).toBe(dense);
    expect(count('array', 'tokensRemoved') > 0).toBe(count('array', 'productsSkipped') > 0);
  });

  it('compares widths on the same test tokens, the decoder as it is first', () => {
    const { choices, tokens } = result.quality;
    expect(choices.map(({ name }) => name)).toEqual([
      'as it is',
      '8 bits',
      '4 bits',
      'published mean ratios',
      'removal alone',
      'dtqatten',
    ]);
    expect(tokens % CONTEXT).toBe(0);
    const [asItIs, wide, narrow] = choices;
    expect(Math.abs(wide!.perplexity / asItIs!.perplexity - 1)).toBeLessThan(0.02);
    expect([wide!.bitsRead, narrow!.bitsRead]).toEqual([1, 0.5]);
    // As the shares of the steps say.
    const shown = result.widthShares.map(({ shares }) =>
      shares.reduce((sum, { bits, share }) => sum + bits * share, 0),
    );
    expect(choices.at(-1)!.bitsRead).toBeCloseTo(mean(shown) / 8, 12);
    for (const { interval, perplexity } of choices.slice(1)) {
      const change = perplexity / asItIs!.perplexity - 1;
      expect(interval![0]).toBeLessThanOrEqual(change);
      expect(interval![1]).toBeGreaterThanOrEqual(change);
    }
    for (const { shares } of result.widthShares)
      expect(shares.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 12);
  });

  it('plays a rival’s own steps on its own machines, beside the others', async () => {
    const [rival] = result.rivals;
    expect(rival).toMatchObject({
      name: 'removal alone',
      machines: ['spatten-1-8'],
      search: { machine: 'spatten-1-8' },
    });
    expect(result.machines.map(({ name }) => name)).toEqual(['eyeriss-40nm', 'array', 'vssa-dense', 'spatten-1-8']);
    const { records } = await openTrace(join(folder, 'run', rival!.trace.file));
    for await (const record of records)
      if (record.kind === 'token-bits') for (const bits of record.bits) expect([8, 0]).toContain(bits);
    const machine = result.machines.at(-1)!;
    expect(machine).toMatchObject({ feasible: true, counts: { rows: 2 * CONTEXT * LAYERS * 2 } });
  });

  it('leaves a report that shows a passage, the search and the machines', () => {
    const page = readFileSync(join(folder, 'run', 'report.html'), 'utf8');
    for (const shown of [
      'tiny-widths',
      'published mean ratios',
      'removal alone',
      'perplexity budget',
      'Conservation checks',
    ])
      expect(page).toContain(shown);
    expect(result.tokenWidths[0]!.tokens).toHaveLength(CONTEXT);
  });

  it('is the same when it was stopped in the search, and continued', async () => {
    const progress = stoppedAt('searching dtqatten by random: 1');
    await expect(run('stopped', EXPERIMENT, progress)).rejects.toMatchObject({ code: 'TANDEM_ABORTED' });
    const { folder: opened, loaded } = await RunFolder.resume(join(folder, 'stopped'));
    if (loaded.kind !== 'decoder-widths') throw new Error('not about widths');
    const again = await runDecoderWidths(loaded, opened, { progress: silentProgress }).finally(() => opened.release());
    expect({ ...again, timings: {} }).toEqual({ ...result, timings: {} });
  });

  it('without a search takes the ratios as they are given', async () => {
    const alone = EXPERIMENT.replace(/rivals:[\s\S]*(?=trace:)/, '');
    const given = alone.replace(SEARCH, '').replace('name: dtqatten }', 'name: dtqatten, ratios: [[0, 0, 1]] }');
    await expect(run('none', given)).rejects.toMatchObject({ code: 'TANDEM_CONFIG_INVALID' });
    const some = alone.replace(SEARCH, '').replace('dtqatten }', 'dtqatten, ratios: [[0.5, 0.25, 0.25]] }');
    const { search, technique, widthShares } = await run('given', some);
    expect(search).toBeUndefined();
    expect(technique.options).toMatchObject({ ratios: [[0.5, 0.25, 0.25]] });
    expect(widthShares[0]!.shares).toEqual([{ bits: 8, share: 1 }]);
    expect(widthShares[1]!.shares.map(({ bits }) => bits)).toEqual([8, 4, 0]);
  });
});

describe('is refused, with its place', () => {
  it.each([
    ['settings that decoders do not have', 'dtqatten }', 'dtqatten, compensation: true }', 'e.yaml:'],
    ['ratios that do not sum to 1', 'dtqatten }', 'dtqatten, ratios: [[0.5, 0.2, 0.2]] }', 'e.yaml:'],
    ['a classifier’s budget', 'perplexityBudget', 'accuracyBudget', 'e.yaml:'],
  ])('%s', (_, from, to, place) => {
    expect(() => load(EXPERIMENT.replace(from, to))).toThrow(
      expect.objectContaining({
        code: expect.stringMatching(/TANDEM_(CONFIG_INVALID|UNKNOWN_SETTING)/),
        place: expect.stringContaining(place),
      }),
    );
  });

  it.each([
    ['a machine that is not there', 'machine: array', 'machine: arrays', 'search.machine', 'TANDEM_CONFIG_INVALID'],
    [
      'a machine that does not decode',
      'preset: vssa-dense',
      'preset: leopard-ae',
      'machines.2',
      'TANDEM_CONFIG_INVALID',
    ],
    [
      'widths that no machine serves',
      'dtqatten }',
      'dtqatten, widths: [12, 4, 0] }',
      'technique.widths',
      'TANDEM_CONFIG_INVALID',
    ],
    ['nothing left to confirm on', 'calibration: 4', 'calibration: 11', 'search.calibration', 'TANDEM_CONFIG_INVALID'],
    [
      'a budget that cannot be shown',
      '0.2\n  confidence: 0.6',
      '1e-9\n  confidence: 0.999',
      'search.perplexityBudget',
      'TANDEM_TARGET_UNREACHABLE',
    ],
  ])('%s', async (name, from, to, place, code) => {
    await expect(run(name.replaceAll(' ', '-'), EXPERIMENT.replace(from, to))).rejects.toMatchObject({ code, place });
  });
});

describe('what is lost of perplexity', () => {
  it('is, at worst, what every sequence loses where all lose the same', () => {
    const before = [4, 5, 6];
    const after = before.map((loss) => loss + Math.log(1.01));
    expect(largestPerplexityLoss(before, after, 0.95)).toBeCloseTo(0.01, 12);
    for (const end of changeInterval(before, after)!) expect(end).toBeCloseTo(0.01, 12);
    expect(changeInterval([4], [5])).toBeUndefined();
  });

  it('is Student’s t over sequences: at 95 % of four of them 2.353 standard errors', () => {
    const after = [0.1, -0.1, 0.3, 0.1];
    const error = Math.sqrt(after.reduce((sum, one) => sum + (one - mean(after)) ** 2, 0) / 3 / 4);
    expect(largestPerplexityLoss([0, 0, 0, 0], after, 0.95)).toBeCloseTo(Math.expm1(mean(after) + 2.353 * error), 3);
  });
});

/** An experiment that searches a technique's options, beside a rival, and plays what it measured on other models' sizes. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunResult, SearchOutcome } from '../../src/experiment/result.js';
import { resume, runTo, stoppedAt, table, writeExperiment } from './tiny-run.js';

const SEARCH = `search:
  machine: array
  minimise: energy-delay
  accuracyBudget: 0.1
  confidence: 0.5 # few examples confirm here
  samplers: [{ name: greedy }, { name: random }]
  trials: 6
  repetitions: 2
  calibration: 12
  costSequences: 4
`;

const experiment = (changes: Readonly<Record<string, string>> = {}): string => {
  const parts: Record<string, string> = {
    model: 'model: { name: bert, size: { layers: 3, hidden: 16, heads: 2, intermediate: 32 } }\n',
    task: 'task: { dataset: tsv, folder: data, maxTokens: 16, validation: 24, test: 20 }\n',
    training: 'training: { batchSize: 4, steps: 6 }\n',
    technique: 'technique: { name: dtqatten }\n',
    search: SEARCH,
    rivals: `rivals:
  - technique: { name: spatten }
    machines: [{ preset: spatten-1-8 }]
    search: { trials: 4, samplers: [{ name: random }], calibration: 12, costSequences: 4, accuracyBudget: 0.2, confidence: 0.5 }
`,
    shapes: 'shapes: { models: [bert-tiny, gpt2], tokens: 32, sequences: 1 }\n',
    machines: 'machines: [{ preset: eyeriss-40nm }, { preset: vssa, name: array }, { preset: vssa-dense }]\n',
    runtime: 'runtime: { threads: 1 }\n',
    ...changes,
  };
  return `tandem: 1\nname: searched\nseed: 7\n${Object.values(parts).join('')}`;
};

const home = mkdtempSync(join(tmpdir(), 'tandem-search-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const written = (name: string, changes?: Readonly<Record<string, string>>) =>
  writeExperiment(join(home, name), experiment(changes), table(300));

describe('a run with a search, a rival, and shapes', () => {
  const run = join(home, 'run', 'out');
  let result: RunResult;
  let search: SearchOutcome;

  beforeAll(async () => {
    result = await runTo(written('run'), run);
    search = result.search!;
  });

  test('tries as many points as it was told, with each sampler and seed', () => {
    expect(search.samplers.map(({ name }) => name)).toEqual(['greedy', 'random']);
    for (const { runs } of search.samplers) {
      expect(runs.map(({ seed }) => seed)).toEqual([7, 8]);
      for (const { trials } of runs) expect(trials.length).toBeLessThanOrEqual(6);
    }
    expect(search.samplers[1]!.runs[0]!.trials).toHaveLength(6);
  });

  test('measures costs relative to the point that changes the model least', () => {
    const least = search.dimensions.map(() => 0).join();
    const all = search.samplers.flatMap(({ runs }) => runs).flatMap(({ trials }) => trials);
    for (const { cost } of all.filter(({ point }) => point.join() === least)) expect(cost).toBe(1);
    expect(all.some(({ cost }) => cost < 1)).toBe(true);
    for (const { cost } of all) expect(cost).toBeLessThanOrEqual(1);
  });

  test('chooses the cheapest point of the first sampler that keeps the budget, and confirms it on other examples', () => {
    const { chosen, calibration, confirmation, accuracyBudget } = search;
    expect(calibration.examples + confirmation.examples).toBe(result.data.validation);
    expect(chosen.accuracy).toBeGreaterThanOrEqual(calibration.baseline - accuracyBudget - 1e-9);
    expect(chosen.confirmed).toBeGreaterThanOrEqual(confirmation.baseline - accuracyBudget - 1e-9);
    expect(chosen.confirmedAtMost).toBeLessThanOrEqual(accuracyBudget);
    expect(chosen.confirmedAtMost).toBeGreaterThanOrEqual(confirmation.baseline - chosen.confirmed - 1e-6);
    expect(chosen.atMost).toBeGreaterThanOrEqual(calibration.baseline - chosen.accuracy - 1e-6);
  });

  test('says what was tested: from the point that changes least on, and the chosen one is the last that passed', () => {
    const { chosen, confirmation, accuracyBudget } = search;
    const { tests, steps } = confirmation;
    expect(tests[0]!.cost).toBe(1);
    const passed = tests.filter(({ atMost }) => atMost <= accuracyBudget);
    expect(tests.slice(0, passed.length)).toEqual(passed);
    expect(passed.at(-1)).toEqual({ cost: chosen.cost, atMost: chosen.confirmedAtMost });
    expect(tests.length === steps || tests.length === passed.length + 1).toBe(true);
  });

  test('goes on with the options that were found', () => {
    const { ratios } = result.technique.options as { ratios: number[][] };
    const behindFirst = result.widthShares!.slice(-ratios.length);
    // ⌈share · tokens⌉ of each text, so that a share may be larger than its ratio, by a token a text at most.
    for (const [layer, { shares }] of behindFirst.entries()) {
      const removed = shares.find(({ bits }) => bits === 0)?.share ?? 0;
      expect(removed).toBeLessThanOrEqual(ratios[layer]!.at(-1)! + 1e-9);
    }
  });

  test('shows the widths of whole texts, layer by layer', () => {
    expect(result.tokenWidths).toHaveLength(3);
    for (const { tokens, layers } of result.tokenWidths!) {
      expect(layers.map(({ layer }) => layer)).toEqual([0, 1, 2]);
      for (const { bits } of layers) expect(bits).toHaveLength(tokens.length);
    }
    for (const { shares } of result.widthShares!) {
      expect(shares.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 12);
    }
  });

  test('plays the rival’s own trace on its own machines, beside the others', () => {
    const [rival] = result.rivals!;
    expect(rival).toMatchObject({ technique: { name: 'spatten' }, machines: ['spatten-1-8'] });
    expect(result.machines.map(({ name }) => name)).toEqual(['eyeriss-40nm', 'array', 'vssa-dense', 'spatten-1-8']);
    expect(rival!.search!.machine).toBe('spatten-1-8');
    expect(readFileSync(join(run, rival!.trace.file)).length).toBe(rival!.trace.bytes);
    const [first] = result.machines;
    expect(first).toMatchObject({ feasible: true, speedup: 1, energyRatio: 1 });
  });

  test('a dense array does the work of all tokens at full width', () => {
    const count = (name: string) => {
      const machine = result.machines.find((one) => one.name === name)!;
      return machine.feasible ? machine.counts.partProducts! : Number.NaN;
    };
    expect(count('array')).toBeLessThan(count('vssa-dense'));
  });

  test('plays the measured shares on the sizes of other models', () => {
    expect(result.shapes!.map(({ model }) => model)).toEqual(['bert-tiny', 'gpt2']);
    for (const { machines } of result.shapes!) {
      expect(machines.map(({ name }) => name)).toEqual(result.machines.map(({ name }) => name));
    }
  });

  test('is the same when it was stopped in the middle of the search, and continued', async () => {
    const again = join(home, 'stopped', 'out');
    const stopped = stoppedAt('searching dtqatten by greedy: 3');
    await expect(runTo(written('stopped'), again, stopped)).rejects.toMatchObject({ code: 'TANDEM_INTERRUPTED' });
    expect({ ...(await resume(again)), timings: {} }).toEqual({ ...result, timings: {} });
  });
});

describe('is refused before it trains', () => {
  const attempt = (name: string, changes: Readonly<Record<string, string>>) =>
    runTo(written(name, changes), join(home, name, 'out'));

  test.each([
    ['a technique without a space', { technique: 'technique: { name: leopard }\n', rivals: '' }, 'search'],
    ['a machine that is not there', { search: SEARCH.replace('array', 'arrays') }, 'search.machine'],
    ['a search without machines', { machines: '', shapes: '', search: 'search: {}\n' }, 'search'],
    [
      'a rival that trains',
      { rivals: 'rivals: [{ technique: { name: leopard }, machines: [{ preset: leopard-ae }] }]\n' },
      'rivals.0.technique',
    ],
    [
      'widths that a machine does not serve',
      { technique: 'technique: { name: dtqatten, widths: [12, 4, 0], ratios: [[0.5, 0.3, 0.2]] }\n', search: '' },
      'technique.widths',
    ],
    [
      'a rival whose widths its machine does not serve',
      { rivals: 'rivals: [{ technique: { name: spatten }, machines: [{ preset: vssa, name: other }] }]\n' },
      'rivals.0.technique',
    ],
    [
      'what is both given and searched',
      { technique: 'technique: { name: dtqatten, ratios: [[0.5, 0.3, 0.2]] }\n' },
      'search',
    ],
    [
      'a sampler that is named twice',
      { search: SEARCH.replace(/samplers: .*/, 'samplers: [{ name: random }, { name: random }]') },
      expect.stringMatching(/experiment.yaml:\d+:\d+/),
    ],
    [
      'a machine whose own widths do not fit',
      { machines: 'machines: [{ preset: vssa, name: array, set: { operandBits: 10 } }]\n' },
      'operandBits',
    ],
  ])('%s', async (name, changes, place) => {
    await expect(attempt(name.replaceAll(' ', '-'), changes)).rejects.toMatchObject({
      code: 'TANDEM_CONFIG_INVALID',
      place,
    });
  });
});

test('a search that leaves no examples to confirm on says so', async () => {
  const all = { search: SEARCH.replace('calibration: 12', 'calibration: 24') };
  await expect(runTo(written('all', all), join(home, 'all', 'out'))).rejects.toMatchObject({
    code: 'TANDEM_CONFIG_INVALID',
    place: 'search.calibration',
  });
});

test('a search whose budget so few examples cannot confirm says so before it trains', async () => {
  const sure = { search: SEARCH.replace('accuracyBudget: 0.1', 'accuracyBudget: 0.01').replace(/confidence.*/, '') };
  await expect(runTo(written('sure', sure), join(home, 'sure', 'out'))).rejects.toMatchObject({
    code: 'TANDEM_CONFIG_INVALID',
    place: 'search.calibration',
    remedy: expect.stringContaining('search.confidence'),
  });
});

test('the shortest texts, of two tokens, are measured and played: one keeps its width in every layer', async () => {
  const one = `text\tlabel\n${Array.from({ length: 300 }, (_, row) => `a${row}\t${row % 2 ? 'good' : 'bad'}`).join('\n')}\n`;
  const changes = {
    search: '',
    shapes: '',
    technique: 'technique: { name: dtqatten, ratios: [[0.1, 0, 0.9]], compensation: true }\n',
    rivals: 'rivals: [{ technique: { name: spatten }, machines: [{ preset: spatten-1-8 }] }]\n',
    task: 'task: { dataset: tsv, folder: data, maxTokens: 2, validation: 24, test: 20 }\n',
  };
  const file = writeExperiment(join(home, 'one'), experiment(changes), one);
  const { machines, widthShares } = await runTo(file, join(home, 'one', 'out'));
  expect(machines.every(({ feasible }) => feasible)).toBe(true);
  expect(widthShares!.map(({ shares }) => shares[0])).toEqual([1, 0.5, 0.5].map((share) => ({ bits: 8, share })));
});

test('machines can be made equal to the first one', async () => {
  const equal = await runTo(
    written('equal', {
      equal: 'equal: multipliers\n',
      search: '',
      rivals: 'rivals: [{ technique: { name: spatten }, machines: [{ preset: spatten-1-8 }] }]\n',
      shapes: '',
      machines: 'machines: [{ preset: vssa }, { preset: eyeriss-40nm }]\n',
    }),
    join(home, 'equal', 'out'),
  );
  expect(equal.equal).toBe('multipliers');
  expect(equal.machines.every(({ feasible }) => feasible)).toBe(true);
});

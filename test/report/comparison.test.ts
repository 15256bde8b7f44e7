/** What reports show of token widths, searches, rivals, other models' sizes, and waiting arrays. */
import { describe, expect, it } from 'vitest';
import type { RunResult, SearchOutcome } from '../../src/experiment/result.js';
import { searchesOf, searchProgressFigure, searchTrialsFigure } from '../../src/report/figures/search.js';
import { tokenWidthsFigure } from '../../src/report/figures/token-widths.js';
import { wavefrontFigures } from '../../src/report/figures/wavefronts.js';
import { widthSharesFigure } from '../../src/report/figures/width-shares.js';
import { bestSoFar, interval } from '../../src/report/over-seeds.js';
import { renderReport } from '../../src/report/report.js';
import { runResult } from './fixture.js';

const trial = (index: number, cost: number, accuracy: number) => ({ point: [index], cost, accuracy });

const search: SearchOutcome = {
  machine: 'vssa',
  minimised: 'energy-delay',
  accuracyBudget: 0.01,
  dimensions: [{ name: 'layer 1, <kept>', values: [1, 0.5, 0.25] }],
  calibration: { examples: 100, baseline: 0.9 },
  confirmation: { examples: 200, baseline: 0.88 },
  referenceCost: 1e6,
  samplers: [
    {
      name: 'bayesian',
      runs: [
        { seed: 1, trials: [trial(0, 1, 0.9), trial(2, 0.2, 0.7), trial(1, 0.5, 0.89)] },
        { seed: 2, trials: [trial(2, 0.2, 0.7), trial(0, 1, 0.9), trial(1, 0.5, 0.89)] },
      ],
    },
    { name: 'random', runs: [{ seed: 1, trials: [trial(1, 0.5, 0.89)] }] },
  ],
  chosen: { ...trial(1, 0.5, 0.89), confirmed: 0.875, rejected: 3 },
};

const plain = runResult();
const run: RunResult = {
  ...plain,
  widthShares: [
    { layer: 0, shares: [{ bits: 8, share: 1 }] },
    {
      layer: 1,
      shares: [
        { bits: 4, share: 0.75 },
        { bits: 0, share: 0.25 },
      ],
    },
  ],
  tokenWidths: [
    {
      sequence: 4,
      tokens: ['a', '<b>', ' '],
      layers: [
        { layer: 0, bits: [8, 8, 8] },
        { layer: 1, bits: [8, 4, 0] },
      ],
    },
  ],
  search,
  rivals: [
    {
      technique: { name: 'spatten', options: {} },
      accuracy: 0.85,
      pruningRate: 0.4,
      pruned: 'values never used',
      trace: { file: 'rival-1.trace', sequences: 4, bytes: 100 },
      machines: [plain.machines.filter(({ feasible }) => feasible).at(-1)!.name],
    },
  ],
  shapes: [
    {
      model: 'bert-base',
      tokens: 128,
      machines: [
        { name: 'vssa', feasible: true, cycles: 1000, energyPicojoules: 5e6, speedup: 1, energyRatio: 1 },
        {
          name: 'small',
          feasible: false,
          machine: 'vssa',
          resource: 'K buffer',
          demand: 2,
          bound: 1,
          unit: 'bytes',
          levers: [],
        },
      ],
    },
  ],
  equal: 'area',
};

describe('widths of tokens', () => {
  it('are a cell for each token and layer', () => {
    expect(tokenWidthsFigure(run)!.rows).toContainEqual({ sequence: 4, layer: 1, position: 1, token: '<b>', bits: 4 });
    expect(tokenWidthsFigure(run)!.rows).toHaveLength(6);
    expect(tokenWidthsFigure({})).toBeUndefined();
  });

  it('are shares that add up to 1 in each layer', () => {
    const rows = widthSharesFigure(run)!.rows as { layer: number; share: number }[];
    for (const layer of [0, 1]) {
      expect(rows.filter((row) => row.layer === layer).reduce((sum, { share }) => sum + share, 0)).toBe(1);
    }
  });
});

describe('searches', () => {
  const [searched] = searchesOf(run) as [{ technique: string; search: SearchOutcome }];

  it('go down to the lowest cost that keeps the budget; what passes it does not count', () => {
    expect(bestSoFar(search.samplers[0]!.runs[0]!, search)).toEqual([1, 1, 0.5]);
    expect(bestSoFar(search.samplers[0]!.runs[1]!, search)).toEqual([undefined, 1, 0.5]);
  });

  it('are means over seeds, drawn from where every seed has found one', () => {
    const rows = searchProgressFigure(searched)!.rows;
    expect(rows.filter(({ sampler }) => sampler === 'bayesian').map(({ trial, cost }) => [trial, cost])).toEqual([
      [2, 1],
      [3, 0.5],
    ]);
    const single = { ...search, samplers: [{ name: 'bayesian', runs: [search.samplers[0]!.runs[0]!] }] };
    expect(searchProgressFigure({ technique: 'dtqatten', search: single })).toBeUndefined();
  });

  it('show every trial, and mark the chosen point', () => {
    const { rows } = searchTrialsFigure(searched);
    expect(rows).toHaveLength(7);
    expect(rows.filter(({ chosen }) => chosen === 'yes').map(({ cost }) => cost)).toEqual([0.5, 0.5]);
  });
});

it('intervals are Student’s: half of 1 … 3 with mean 2 is 4.303 · 1 / √3', () => {
  const { mean, low, high } = interval([1, 2, 3]);
  expect([mean, high - 2, 2 - low]).toEqual([
    2,
    expect.closeTo(4.303 / Math.sqrt(3), 9),
    expect.closeTo(4.303 / Math.sqrt(3), 9),
  ]);
  expect(interval([5])).toEqual({ mean: 5, low: 5, high: 5 });
});

it('arrays that wait show every PE, before and after', () => {
  const wave = { rows: 1, columns: 2, worked: [3, 1], waited: [1, 3], finished: [4, 3], cycles: 4 };
  const machine = plain.machines.find((one) => one.feasible) as never;
  const [figure] = wavefrontFigures([{ ...(machine as object), wavefronts: [{ title: 'x', ...wave }] } as never]);
  expect(figure!.rows[1]).toEqual({ array: 'x', row: 0, column: 1, worked: 1, waited: 3, finished: 3, cycles: 4 });
});

it('a report says which technique’s trace a machine played, what is by shape only, and what was made equal', async () => {
  const { html, figures } = await renderReport(run);
  const rival = run.rivals![0]!.machines[0]!;
  expect(html).toMatch(new RegExp(`${rival}<small>[^<]*trace of spatten`));
  expect(html).toContain('A machine plays the trace of the technique in its line');
  expect(html).toContain('Nothing of those models was run');
  expect(html).toContain('All machines were resized to the area of the first one');
  expect(html).toContain('layer 1, &lt;kept&gt;');
  expect(html).not.toContain('<b>');
  expect(figures.map(({ name }) => name)).toEqual(
    expect.arrayContaining([
      'token-widths',
      'width-shares',
      `search-${run.technique.name}`,
      `search-${run.technique.name}-trials`,
    ]),
  );
});

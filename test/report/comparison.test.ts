/** What reports show of token widths, searches, rivals, other models' sizes, and waiting arrays. */
import { describe, expect, it } from 'vitest';
import { searchProgressFigure, searchTrialsFigure } from '../../src/report/figures/search.js';
import { tokenWidthsFigure } from '../../src/report/figures/token-widths.js';
import { wavefrontFigures } from '../../src/report/figures/wavefronts.js';
import { widthSharesFigure } from '../../src/report/figures/width-shares.js';
import { bestSoFar, interval } from '../../src/report/over-seeds.js';
import { renderReport } from '../../src/report/report.js';
import { accuracyView, searchesOf } from '../../src/report/search-view.js';
import { drawSvg } from '../../src/report/vega.js';
import { comparisonRun, search } from './comparison-fixture.js';
import { runResult } from './fixture.js';

const plain = runResult();
const run = comparisonRun();

describe('widths of tokens', () => {
  it('are a cell for each token and layer', () => {
    expect(tokenWidthsFigure(run)!.rows).toContainEqual({ sequence: 4, layer: 1, position: 1, token: '<b>', bits: 4 });
    expect(tokenWidthsFigure(run)!.rows).toHaveLength(6);
    expect(tokenWidthsFigure({})).toBeUndefined();
  });

  it('are drawn under whatever the tokens are, names and quotes of expressions too', async () => {
    const tokens = ['if', "'", '"', 'datum.label', '\\', ']', 'if('];
    const layers = [{ layer: 0, bits: tokens.map(() => 8) }];
    const svg = await drawSvg(tokenWidthsFigure({ tokenWidths: [{ sequence: 0, tokens, layers }] })!);
    for (const token of tokens) expect(svg).toContain(`>${token}</text>`);
  });

  it('are shares that add up to 1 in each layer', () => {
    const rows = widthSharesFigure(run)!.rows as { layer: number; share: number }[];
    for (const layer of [0, 1]) {
      expect(rows.filter((row) => row.layer === layer).reduce((sum, { share }) => sum + share, 0)).toBe(1);
    }
  });
});

describe('searches', () => {
  const searched = accuracyView(searchesOf(run)[0]!);

  it('go down to the lowest cost that keeps the budget; what passes it does not count', () => {
    expect(bestSoFar(searched.samplers[0]!.runs[0]!)).toEqual([1, 1, 0.5]);
    expect(bestSoFar(searched.samplers[0]!.runs[1]!)).toEqual([undefined, 1, 0.5]);
  });

  it('are means over seeds, drawn from where every seed has found one', () => {
    const rows = searchProgressFigure(searched)!.rows;
    expect(rows.filter(({ sampler }) => sampler === 'bayesian').map(({ trial, cost }) => [trial, cost])).toEqual([
      [2, 1],
      [3, 0.5],
    ]);
    const single = { ...search, samplers: [{ name: 'bayesian', runs: [search.samplers[0]!.runs[0]!] }] };
    expect(searchProgressFigure(accuracyView({ technique: 'dtqatten', search: single }))).toBeUndefined();
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
    expect.closeTo(4.303 / Math.sqrt(3), 3),
    expect.closeTo(4.303 / Math.sqrt(3), 3),
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

describe('a rival’s machine', () => {
  const rival = run.rivals![0]!;
  const machine = rival.machines[0]!;
  const headline = (html: string) => /id="summary"[\s\S]*?<p>([\s\S]*?)<\/p>/.exec(html)![1]!;

  it('is not in the sentence about the run’s own technique, not even when it is the fastest', async () => {
    const machines = run.machines.map((one) => (one.name === machine ? { ...one, speedup: 1e3 } : one));
    const { html } = await renderReport({ ...run, machines } as never);
    expect(headline(html)).not.toContain(machine);
    expect(headline((await renderReport({ ...run, rivals: [] })).html)).toContain(machine);
  });

  it('says whose trace it played beside figures of machines, and whose shares beside other models’ sizes', async () => {
    const { html } = await renderReport(run);
    expect(html).toMatch(new RegExp(`<section id="machines"[^]*?<p>[^<]*the trace of spatten on ${machine}\\.`));
    expect(html).toMatch(new RegExp(`vssa<small>shares of ${run.technique.name}</small>`));
  });

  it('of a technique that comes twice keeps figures and bars apart', async () => {
    const twice = { ...rival, search, widthShares: run.widthShares };
    const result = { ...run, rivals: [twice, twice] };
    const names = (await renderReport(result)).figures.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    const rows = widthSharesFigure(result)!.rows;
    expect([...new Set(rows.map(({ technique }) => technique))]).toEqual([
      run.technique.name,
      'spatten',
      'spatten (2)',
    ]);
  });

  it('is called what the experiment calls it', async () => {
    const { html } = await renderReport({ ...run, rivals: [{ ...rival, name: 'tokens alone' }] });
    expect(html).toMatch(new RegExp(`<section id="machines"[^]*?<p>[^<]*the trace of tokens alone on ${machine}\\.`));
  });
});

it('a width has one colour in all figures of a report', () => {
  const rival = { ...run.rivals![0]!, widthShares: [{ layer: 0, shares: [{ bits: 12, share: 1 }] }] };
  const shades = (figure: unknown) => {
    const found = /"domain":(\[[\d,]+\]),"range":(\[[^\]]+\])/.exec(JSON.stringify(figure))!;
    const [widths, range] = [JSON.parse(found[1]!), JSON.parse(found[2]!)] as [number[], string[]];
    return new Map(widths.map((bits, index) => [bits, range[index]]));
  };
  const shares = shades(widthSharesFigure({ ...run, rivals: [rival] })!.spec);
  for (const [bits, shade] of shades(tokenWidthsFigure(run)!.spec)) expect(shares.get(bits)).toBe(shade);
  expect(new Set(shares.values()).size).toBe(4);
});

it('long texts go on in the next line, and their data is whole', () => {
  const tokens = Array.from({ length: 200 }, () => 'word');
  const layers = [{ layer: 0, bits: tokens.map(() => 8) }];
  const { rows, spec, caption } = tokenWidthsFigure({ tokenWidths: [{ sequence: 0, tokens, layers }] })!;
  expect(rows).toHaveLength(200);
  expect((spec as unknown as { vconcat: unknown[] }).vconcat).toHaveLength(4);
  expect(caption).toContain('the first 160 tokens are drawn');
});

it('equal results give equal bytes', async () => {
  const [first, second] = await Promise.all([renderReport(run), renderReport(comparisonRun())]);
  expect(first.html === second.html).toBe(true);
  expect(first.figures).toEqual(second.figures);
});

/** The report of an experiment on decoding: complete, harmless, the same for the same result. */
import { parse } from 'csv-parse/sync';
import { describe, expect, it } from 'vitest';
import type { Report } from '../../src/report/assemble.js';
import { renderDecoding } from '../../src/report/decoding.js';
import { fewerDecoders, keepsBudget, perplexityChange } from '../../src/report/exit-budget.js';
import { depthQualityFigure } from '../../src/report/figures/depth-quality.js';
import { exitTextFigure, visible } from '../../src/report/figures/exit-text.js';
import { exitThresholdsFigure } from '../../src/report/figures/exit-thresholds.js';
import { exitTrainingFigure, someExits } from '../../src/report/figures/exit-training.js';
import { depthShades, inkOn, luminance } from '../../src/report/palette.js';
import { passage } from '../../src/report/sections/exits.js';
import { decodingResult } from './decoding-fixture.js';

const text = (page: string) =>
  page
    .replace(/<svg[\s\S]*?<\/svg>/g, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ');
const sections = (page: string) => [...page.matchAll(/<section id="([^"]+)"/g)].map(([, id]) => id);
const data = (report: Report, name: string): Record<string, string>[] =>
  parse(report.figures.find((figure) => figure.name === name)!.csv, { columns: true });

describe('the page', async () => {
  const result = decodingResult();
  const report = await renderDecoding(result);
  const page = report.html;

  it('starts with quality, depth and what machines gain', () => {
    const start = text(page.slice(page.indexOf('<main>'), page.indexOf('id="exits"')));
    // 24.72 / 24.5 − 1, and the rival's 26.2 / 24.5 − 1.
    for (const part of ['24.50', '24.72', '+0.90 %', '98.15 %', '99.67 %', '+6.94 %', '1.91×', 'Infeasible']) {
      expect(start).toContain(part);
    }
    expect(start).toContain('keeps the budget of 1.00 % more perplexity');
  });

  it('has the sections in the order in which one reads them', () => {
    expect(sections(page)).toEqual([
      'summary',
      'exits',
      'quality',
      'training',
      'shapes',
      'machines',
      'constants',
      'checks',
      'remarks',
      'provenance',
    ]);
  });

  it('draws every figure once, in the order of the page', () => {
    const names = report.figures.map((figure) => figure.name);
    expect(names.slice(0, 6)).toEqual([
      'exit-text',
      'exit-shares',
      'exit-losses',
      'depth-quality',
      'exit-thresholds',
      'exit-training',
    ]);
    expect(names).toContain('energy');
    for (const name of names) expect(page).toContain(`id="figure-${name}"`);
  });

  it('has every token in the data of the passage, with its exit', () => {
    const rows = data(report, 'exit-text');
    expect(rows.map((row) => Number(row.exit))).toEqual(result.example.exits);
    expect(rows[0]).toEqual({ position: '0', token: 'Call', exit: '1' });
  });

  it('names hashes, licence, thresholds and options', () => {
    const provenance = page.slice(page.indexOf('id="provenance"'));
    for (const sha of [result.decoder.sha256, ...Object.values(result.text.sha256)]) expect(provenance).toContain(sha);
    for (const part of [
      result.decoder.licence,
      'calibrated on 64 000 validation tokens: 0.9, no check, 0.8',
      '&quot;budget&quot;',
    ]) {
      expect(provenance.replaceAll('\u202f', ' ')).toContain(part);
    }
  });

  it('needs nothing from outside, runs nothing, and has no id twice', () => {
    expect(page).not.toMatch(/<script|<link|<iframe|@import|url\((?!#)/);
    const ids = [...page.matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('is the same, byte for byte, for the same result, whatever the wall clock said', async () => {
    const again = await renderDecoding({ ...decodingResult(), timings: { train: 1 } });
    expect(again.html === page).toBe(true);
    expect(again.figures).toEqual(report.figures);
  });
});

describe('the page of another run', () => {
  it('without training, calibration, shapes and machines says nothing of them', async () => {
    const bare = {
      ...decodingResult({ trained: false, calibrated: false, machines: 0, infeasible: false }),
      shapes: [],
    };
    const { html, figures } = await renderDecoding(bare);
    expect(sections(html)).toEqual(['summary', 'exits', 'quality', 'remarks', 'provenance']);
    expect(figures.map(({ name }) => name)).not.toContain('exit-training');
    expect(html).toContain('given by the experiment');
    expect(text(html)).not.toMatch(/the budget|Training split|Machines on/);
  });

  it('shows why no machine can run it', async () => {
    const { html } = await renderDecoding(decodingResult({ machines: 0 }));
    expect(html).toContain('Infeasible');
    expect(sections(html)).not.toContain('machines');
  });

  it.each([1, 2, 48])('has a line for each of %d layers', async (layers) => {
    const report = await renderDecoding(decodingResult({ layers }));
    expect(data(report, 'exit-shares')).toHaveLength(layers);
    expect(report.figures.some(({ name }) => name === 'exit-thresholds')).toBe(layers > 1);
  });

  it('says that a budget was missed, and by how much', async () => {
    const result = decodingResult();
    const adapted = { ...result.quality.adapted, perplexity: 24.5 * 1.02 };
    const { html } = await renderDecoding({ ...result, quality: { ...result.quality, adapted } });
    expect(text(html)).toMatch(/misses the budget of 1.00\s% more perplexity: .* here 2.00\s% is lost/);
  });

  it('shows n/a for candidates where no token left early', async () => {
    const result = decodingResult();
    const { html } = await renderDecoding({ ...result, quality: { ...result.quality, candidateHits: Number.NaN } });
    expect(text(html)).toMatch(/candidate hits n\/a/);
  });

  it('escapes what others chose, in every place', async () => {
    const hostile =
      '"</style></svg><script>alert(1)</script><img src=x onerror="alert(1)">\' & \u0000\u001b ]]> --> \ud800';
    const report = await renderDecoding(decodingResult({ text: (original) => original + hostile }));
    for (const document of [report.html, ...report.figures.map((figure) => figure.svg)]) {
      expect(document).not.toMatch(/<script|<img/);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for.
      expect(document).not.toMatch(/[\u0000-\u0008\u001b]|\p{Surrogate}/u);
      expect(document.match(/<svg\b/g)?.length).toBe(document.match(/<\/svg>/g)?.length);
    }
    expect(report.html.match(/<\/style>/g)).toHaveLength(1);
    for (const figure of report.figures) expect(figure.name).toMatch(/^[a-z0-9-]+$/);
  });
});

describe('the passage', () => {
  const shown = (...tokens: string[]) =>
    passage({ ...decodingResult({ layers: 2 }), example: { tokens, exits: tokens.map((_, i) => 1 + (i % 2)) } }).text;

  it('gives each token its shade, a tooltip and a number', () => {
    const [first, second] = depthShades(2);
    expect(shown('a', ' b')).toContain(
      `<span style="background:${first};color:${inkOn(first!)}" title="layer 1">a<small>1</small></span>` +
        `<span style="background:${second};color:${inkOn(second!)}" title="layer 2"> b<small>2</small></span>`,
    );
  });

  it('keeps line ends and tabs, and puts the number before a last line end', () => {
    expect(shown('.\n')).toContain('>.<i aria-hidden="true">↵</i><small>1</small>\n</span>');
    expect(shown('\n\tx')).toContain('><i aria-hidden="true">↵</i>\n\tx<small>1</small></span>');
  });

  it('shows what is no character as U+FFFD, and a carriage return by its sign', () => {
    expect(shown('\u0007\ud83d', '\r')).toContain('>\ufffd\ufffd<small>');
    expect(visible('a\tb\r\n')).toBe('a→b␍↵');
  });

  it('is drawn in lines that end where the text does, or where there is no room', () => {
    const tokens = ['a\n', ...Array.from({ length: 60 }, () => ' wide'), 'x'.repeat(500)];
    const figure = exitTextFigure({ exitShares: [0.5, 0.5], example: { tokens, exits: tokens.map(() => 1) } })!;
    const { values } = (figure.spec as unknown as { data: { values: { x: number; right: number; line: number }[] } })
      .data;
    expect(values.slice(0, 2).map(({ line }) => line)).toEqual([0, 1]);
    expect(Math.max(...values.map(({ right }) => right))).toBeLessThanOrEqual(720);
    values.slice(1).forEach(({ x, line }, index) => {
      expect(line > values[index]!.line || x > values[index]!.right).toBe(true);
    });
    expect(exitTextFigure({ exitShares: [1], example: { tokens: [], exits: [] } })).toBeUndefined();
  });
});

describe('figures', () => {
  it('hold each point of the curves and each way to decode', () => {
    const result = decodingResult();
    const { rows } = depthQualityFigure(result);
    expect(rows.filter(({ curve }) => curve === 'light output embedding')).toHaveLength(8);
    expect(rows.filter(({ mark }) => mark !== undefined).map(({ mark }) => mark)).toEqual([
      'toex',
      'all layers',
      'state propagation',
      'no back-fill',
      'full output embedding',
    ]);
  });

  it('keep points without a finite perplexity out of the drawing, and in the data', () => {
    const result = decodingResult();
    const [rival] = result.quality.rivals;
    const rivals = [{ ...rival!, perplexity: Number.POSITIVE_INFINITY }];
    const figure = depthQualityFigure({ ...result, quality: { ...result.quality, rivals } });
    expect(figure.rows.at(-1)).toMatchObject({ mark: 'state propagation', perplexity: Number.POSITIVE_INFINITY });
    expect(figure.caption).toContain('1 point without a finite perplexity');
  });

  it('tell thresholds from layers without a check', () => {
    const { rows } = exitThresholdsFigure({ thresholds: [0.5, 2, 1] })!;
    expect(rows.map(({ checked }) => checked)).toEqual(['yes', 'no', 'yes']);
  });

  it('show the training at the first exit, the last and some between', () => {
    expect([1, 2, 12, 48].map(someExits)).toEqual([[1], [1, 2], [1, 4, 7, 9, 12], [1, 13, 25, 36, 48]]);
    expect(exitTrainingFigure({ training: [] })).toBeUndefined();
  });
});

describe('shades of depth', () => {
  it.each([2, 12, 48])('darken with every one of %d layers, and carry legible text', (layers) => {
    const shades = depthShades(layers);
    const lights = shades.map(luminance);
    expect(lights).toEqual([...lights].sort((a, b) => b - a));
    expect(new Set(shades).size).toBe(layers);
    for (const shade of shades) {
      const [high, low] = [luminance(shade), luminance(inkOn(shade))].sort((a, b) => b - a);
      expect((high! + 0.05) / (low! + 0.05)).toBeGreaterThan(4.5);
    }
  });
});

describe('a budget', () => {
  const full = { perplexity: 20, agreement: 1, meanDecoders: 12 };
  const quality = { perplexity: 20.2, agreement: 0.98, meanDecoders: 4 };

  it('is of relative perplexity or of agreement', () => {
    expect(perplexityChange(quality, full)).toBeCloseTo(0.01, 12);
    expect(fewerDecoders(quality, full)).toBe(3);
    expect(keepsBudget(quality, full, { measure: 'perplexity', loss: 0.011 })).toBe(true);
    expect(keepsBudget(quality, full, { measure: 'perplexity', loss: 0.009 })).toBe(false);
    expect(keepsBudget(quality, full, { measure: 'agreement', loss: 0.021 })).toBe(true);
    expect(keepsBudget(quality, full, { measure: 'agreement', loss: 0.019 })).toBe(false);
  });
});

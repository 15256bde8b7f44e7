import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeReport } from '../../src/report/files.js';
import { escapeHtml, html } from '../../src/report/html.js';
import { renderReport } from '../../src/report/report.js';
import { runResult } from './fixture.js';

const text = (page: string) =>
  page
    .replace(/<svg[\s\S]*?<\/svg>/g, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ');

describe('the page', async () => {
  const result = runResult();
  const page = (await renderReport(result)).html;

  it('starts with the accuracy of both models and what was pruned', () => {
    const start = text(page.slice(page.indexOf('<main>'), page.indexOf('id="accuracy"')));
    for (const part of ['87.65 %', '87.35 %', '−0.30 points', '69.5 %', '7.13 bits', '1.91×', '3.20×', '1.01×']) {
      expect(start).toContain(part);
    }
  });

  it('has the sections in the order in which one reads them', () => {
    const ids = [...page.matchAll(/<section id="([^"]+)"/g)].map(([, id]) => id);
    expect(ids).toEqual(['summary', 'accuracy', 'machines', 'constants', 'checks', 'remarks', 'provenance']);
    for (const id of ids) expect(page).toContain(`href="#${id}"`);
  });

  it('marks the reference machine and says why another does not run', () => {
    expect(page).toMatch(/baseline<small>reference, cycle level/);
    expect(text(page)).toContain(
      'K buffer needs 49 152 bytes but has 24 576 bytes. It would fit with buffers.keyBytes ≥ 49152',
    );
  });

  it('lists each constant once with value, unit, node, certainty and source', () => {
    const constants = page.slice(page.indexOf('id="constants"'), page.indexOf('id="checks"'));
    expect(constants.match(/sram\.areaPerBit/g)).toHaveLength(1);
    expect(text(constants)).toContain('0.525 µm² 65 nm published foundry press release, 6T cell');
  });

  it('shows both sides of the conservation checks', () => {
    expect(text(page)).toContain(
      'scores computed in full + stopped early = dense scores baseline 117 964 800 117 964 800',
    );
  });

  it('names model, data and hashes', () => {
    for (const hash of [result.model.sha256, ...Object.values(result.data.sha256)]) expect(page).toContain(hash);
  });

  it('needs nothing from outside and runs nothing', () => {
    expect(page).not.toMatch(/<script|<link|<iframe|@import|url\((?!#)/);
    expect(
      [...page.matchAll(/(?:href|src)="([^"]*)"/g)].every(([, target]) =>
        /^(#|data:text\/csv|figures\/timeline\.perfetto\.json$)/.test(target!),
      ),
    ).toBe(true);
  });

  it('has no id twice', () => {
    const ids = [...page.matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('is the same, byte for byte, for the same result, also when drawn at the same time', async () => {
    const pages = await Promise.all([renderReport(runResult()), renderReport(runResult())]);
    expect(pages.map((report) => report.html === page)).toEqual([true, true]);
    expect(pages[0]!.figures).toEqual(pages[1]!.figures);
  });

  it('does not depend on the wall-clock timings', async () => {
    expect((await renderReport({ ...result, timings: { train: 1 } })).html === page).toBe(true);
  });

  it('shows all machines as infeasible when none can run', async () => {
    const { html: bare } = await renderReport(runResult({ machines: 0 }));
    expect(bare).toContain('Infeasible');
    expect(bare).not.toContain('id="machines"');
  });
});

describe('text that others chose', () => {
  const hostile =
    ' id="x" aria-label="y"</style></svg><script>alert(1)</script><img src=x onerror="alert(1)">\' & \u0000\u001b ]]> --> \ud800';

  it('is escaped in every place', async () => {
    const report = await renderReport(runResult({ text: (original) => original + hostile }));
    for (const document of [report.html, ...report.figures.map((figure) => figure.svg)]) {
      expect(document).not.toMatch(/<script|<img/);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for.
      expect(document).not.toMatch(/[\u0000-\u0008\u001b]|\p{Surrogate}/u);
      expect(document.match(/<svg\b/g)?.length).toBe(document.match(/<\/svg>/g)?.length);
    }
    expect(report.html.match(/<\/style>/g)).toHaveLength(1);
    expect(report.html).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    const utilisation = report.figures.find((figure) => figure.name === 'utilisation')!;
    expect(utilisation.svg).toContain('>V-PU id="x" aria-label="y"');
  });

  it('cannot choose where a figure is written', async () => {
    const report = await renderReport(runResult({ text: (original) => `../../${original}/..` }));
    for (const figure of report.figures) expect(figure.name).toMatch(/^[a-z0-9-]+$/);
  });

  it('becomes markup only through the tag', () => {
    expect(html`<b title="${'"&'}">${['<', html`<i>${'>'}</i>`, undefined, false]}</b>`.text).toBe(
      '<b title="&quot;&amp;">&lt;<i>&gt;</i></b>',
    );
    expect(escapeHtml("a'b")).toBe('a&#39;b');
  });
});

describe('the folder', () => {
  it('holds the page and, for each figure, drawing, data and specification', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tandem-report-'));
    try {
      const report = await writeReport(folder, runResult());
      expect((await readdir(folder)).sort()).toEqual(['figures', 'report.html']);
      expect(await readFile(join(folder, 'report.html'), 'utf8')).toBe(report.html);
      const expected = report.figures.flatMap(({ name }) => [`${name}.csv`, `${name}.svg`, `${name}.vl.json`]);
      expected.push('timeline.perfetto.json');
      expect((await readdir(join(folder, 'figures'))).sort()).toEqual(expected.sort());
      expect(await readFile(join(folder, 'figures', 'timeline.perfetto.json'), 'utf8')).toBe(report.perfetto);
      const energy = report.figures.find((figure) => figure.name === 'energy')!;
      expect(await readFile(join(folder, 'figures', 'energy.svg'), 'utf8')).toBe(energy.svg);
      expect(JSON.parse(await readFile(join(folder, 'figures', 'energy.vl.json'), 'utf8'))).toEqual(energy.spec);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

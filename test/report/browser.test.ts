/** The report in a real browser: nothing fetched, nothing cut off, nothing on top of something else, readable in each mode. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DecodingResult } from '../../src/experiment/decoding/result.js';
import type { RunResult } from '../../src/experiment/result.js';
import type { Report } from '../../src/report/assemble.js';
import { renderDecoding } from '../../src/report/decoding.js';
import { writeRendered } from '../../src/report/files.js';
import { renderReport } from '../../src/report/report.js';
import { comparisonRun } from './comparison-fixture.js';
import { decodingResult } from './decoding-fixture.js';
import { sparseRun } from './elector-fixture.js';
import { runResult } from './fixture.js';

const executable = process.env.TANDEM_CHROMIUM ?? '/usr/bin/chromium';
const present = existsSync(executable);
if (!present) console.log(`Skipped: no browser at ${executable}; set TANDEM_CHROMIUM to the path of a Chromium.`);

const hostile = (text: string) =>
  `${text}<script>document.title="broken"</script><img src=http://example.com/x.png>"&' long-name-of-it`;

const CASES: Readonly<Record<string, RunResult | DecodingResult>> = {
  usual: runResult(),
  large: runResult({ layers: 24, heads: 16, steps: 2000, machines: 1, infeasible: false }),
  small: runResult({ layers: 1, heads: 1, steps: 3, machines: 2 }),
  hostile: runResult({ text: hostile }),
  sparse: sparseRun(),
  'large sparse': sparseRun({ layers: 24, steps: 2000 }),
  'hostile sparse': sparseRun({ text: hostile }),
  compared: comparisonRun(),
  'hostile compared': comparisonRun(hostile),
  decoding: decodingResult(),
  'deep decoding': decodingResult({ layers: 48, trained: false, calibrated: false, machines: 1 }),
  'hostile decoding': decodingResult({ text: hostile }),
};

const render = (result: RunResult | DecodingResult): Promise<Report> =>
  'kind' in result ? renderDecoding(result) : renderReport(result);

/** Between the summary and the machines. */
function middleSections(result: RunResult | DecodingResult): string[] {
  if ('kind' in result) return ['exits', 'quality', ...(result.training.length > 0 ? ['training'] : []), 'shapes'];
  return ['accuracy', ...(result.rivals ? ['search', 'shapes'] : [])];
}

describe.skipIf(!present)('the report in a browser', () => {
  let browser: Browser;
  let folder: string;
  const reports = new Map<string, Report>();

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tandem-report-'));
    for (const [name, result] of Object.entries(CASES)) {
      const report = await render(result);
      await writeRendered(join(folder, name), report);
      reports.set(name, report);
    }
    browser = await chromium.launch({
      executablePath: executable,
      args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
    });
  }, 180_000);

  afterAll(async () => {
    await browser?.close();
    if (folder) await rm(folder, { recursive: true });
  });

  /** Opens a report with the network blocked; `complaints` collects console messages and requests for anything else. */
  async function open(name: string, width = 1000, colorScheme: 'light' | 'dark' = 'light') {
    const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme, offline: true });
    const url = pathToFileURL(join(folder, name, 'report.html')).href;
    const complaints: string[] = [];
    page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('request', (request) => request.url() !== url && complaints.push(`request: ${request.url()}`));
    await page.goto(url);
    return { page, complaints };
  }

  describe.each(Object.keys(CASES))('of the %s run', (name) => {
    let opened: Awaited<ReturnType<typeof open>>;
    beforeAll(async () => {
      opened = await open(name);
    });
    afterAll(() => opened.page.close());

    it('asks for nothing and complains of nothing', async () => {
      const { page, complaints } = opened;
      expect(complaints).toEqual([]);
      expect(await page.title()).toMatch(/Tandem report$/);
      expect(await page.locator('script, img, link, iframe').count()).toBe(0);
    });

    it('shows every section and every figure', async () => {
      const sizes = (selector: string) =>
        opened.page.locator(selector).evaluateAll((all) =>
          all.map((element) => {
            const { width, height } = element.getBoundingClientRect();
            return { id: element.closest('[id]')!.id, tall: height > 30, wide: width > 80 };
          }),
        );
      const middle = middleSections(CASES[name]!);
      const sections = ['summary', ...middle, 'machines', 'constants', 'checks', 'remarks', 'provenance'];
      // The passage of a decoder is text on the page, and a drawing only as a file.
      const drawn = reports.get(name)!.figures.filter((figure) => figure.name !== 'exit-text');
      const figures = drawn.map((figure) => `figure-${figure.name}`);
      const visible = (ids: readonly string[]) => ids.map((id) => ({ id, tall: true, wide: true }));
      expect(await sizes('section')).toEqual(visible(sections));
      expect(await sizes('figure svg')).toEqual(visible(figures));
    });

    it('cuts no text of a figure off and lays no label over another', async () => {
      expect(await misplacedTexts(opened.page)).toEqual([]);
    });

    it.each([1000, 375])('fits a window %d px wide: only figures and tables scroll, each by itself', async (width) => {
      const { page } = opened;
      await page.setViewportSize({ width, height: 800 });
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      expect(overflow).toBeLessThanOrEqual(0);
      const captions = await page
        .locator('caption span, figcaption')
        .evaluateAll((all) => all.map((element) => element.getBoundingClientRect().right));
      expect(Math.max(...captions)).toBeLessThanOrEqual(width);
    });
  });

  it.each(['light', 'dark'] as const)('is legible in %s colours', async (scheme) => {
    for (const name of ['usual', 'sparse', 'compared', 'decoding']) {
      const { page } = await open(name, 1000, scheme);
      expect(await lowContrast(page), name).toEqual([]);
      await page.close();
    }
  });

  it('is dark only on the screen: paper stays light', async () => {
    const { page } = await open('usual', 1000, 'dark');
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    expect(await background()).not.toBe('rgb(255, 255, 255)');
    await page.emulateMedia({ media: 'print' });
    expect(await background()).toBe('rgb(255, 255, 255)');
    expect(await lowContrast(page)).toEqual([]);
    expect(await page.locator('nav').isVisible()).toBe(false);
    await page.close();
  });

  it.each(Object.keys(CASES).filter((name) => 'kind' in CASES[name]!))(
    'draws the passage of the %s run as a file with every token in its own cell',
    async (name) => {
      const page = await browser.newPage();
      const { svg } = reports.get(name)!.figures.find((figure) => figure.name === 'exit-text')!;
      await page.setContent(`<figure id="exit-text">${svg}</figure>`);
      expect(await misplacedTexts(page)).toEqual([]);
      await page.close();
    },
  );

  it('keeps the passage of a decoder as it was: white space, and no number in a copy of it', async () => {
    const { page } = await open('decoding', 680);
    const { tokens, exits } = decodingResult().example;
    const passage = page.locator('.passage');
    const copied = await passage.evaluate((element) => {
      getSelection()!.selectAllChildren(element);
      return String(getSelection());
    });
    expect(copied).toBe(tokens.join('').replace('\r', '␍').replace('\u0007', '\ufffd'));
    const number = passage.locator('small').first();
    const width = () => number.evaluate((element) => getComputedStyle(element).position);
    expect([await number.textContent(), await width()]).toEqual([String(exits[0]), 'absolute']);
    await page.emulateMedia({ media: 'print' });
    expect(await width()).toBe('static');
    await page.close();
  });

  it('fits an A4 page in print', async () => {
    // 210 mm less two margins of 15 mm, at 96 px per inch.
    const { page } = await open('usual', 680);
    await page.emulateMedia({ media: 'print' });
    const right = await page
      .locator('table, figure svg, pre')
      .evaluateAll((all) => Math.max(...all.map((element) => element.getBoundingClientRect().right)));
    expect(right).toBeLessThanOrEqual(680);
    expect(await page.locator('details pre').first().isVisible()).toBe(true);
    expect((await page.pdf({ preferCSSPageSize: true })).subarray(0, 5).toString()).toBe('%PDF-');
    await page.close();
  });

  it('gives every figure a name, and marks their tooltips', async () => {
    const { page } = await open('usual');
    for (const svg of await page.locator('figure svg').all()) {
      expect(await svg.getAttribute('role')).toBe('img');
      expect(await svg.getAttribute('aria-label')).toMatch(/\S/);
    }
    const heads = runResult().heads.length;
    expect(await page.locator('#figure-heads path > title').count()).toBe(heads);
    await page.close();
  });

  it('writes drawings that are well-formed files of their own', async () => {
    const page = await browser.newPage();
    for (const [name, report] of reports) {
      for (const figure of report.figures) {
        const failed = await page.evaluate(
          (svg) =>
            new DOMParser().parseFromString(svg, 'image/svg+xml').querySelector('parsererror')?.textContent ?? '',
          figure.svg,
        );
        expect(failed, `${name} ${figure.name}`).toBe('');
      }
    }
    await page.close();
  });
});

/** Texts of figures that reach beyond their drawing, and texts that lie on one another. */
function misplacedTexts(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const found: string[] = [];
    for (const figure of document.querySelectorAll('figure:has(svg)')) {
      const frame = figure.querySelector('svg')!.getBoundingClientRect();
      const texts = [...figure.querySelectorAll('svg text')]
        .filter((text) => text.textContent !== '' && text.getAttribute('opacity') !== '0')
        .map((text) => {
          const { a, b, e, f } = (text as SVGTextElement).getScreenCTM()!;
          const slant = Math.atan2(b, a);
          return {
            text: text.textContent,
            box: text.getBoundingClientRect(),
            slant,
            baseline: f * Math.cos(slant) - e * Math.sin(slant),
            size: Number.parseFloat(getComputedStyle(text).fontSize) * Math.hypot(a, b),
          };
        });
      texts.forEach(({ text, box, slant, baseline, size }, index) => {
        const outside = Math.max(
          frame.left - box.left,
          box.right - frame.right,
          frame.top - box.top,
          box.bottom - frame.bottom,
        );
        if (outside > 1) found.push(`${figure.id}: "${text}" is cut by ${outside.toFixed(1)} px`);
        for (const other of texts.slice(index + 1)) {
          const across = Math.min(box.right, other.box.right) - Math.max(box.left, other.box.left);
          const down = Math.min(box.bottom, other.box.bottom) - Math.max(box.top, other.box.top);
          // The boxes of parallel slanted texts always overlap; the texts do when their baselines are too near.
          const parallel = Math.abs(slant) > 0.01 && Math.abs(slant - other.slant) < 0.01;
          const apart = parallel && Math.abs(baseline - other.baseline) >= size;
          if (across > 0.5 && down > 2.5 && !apart) found.push(`${figure.id}: "${text}" on "${other.text}"`);
        }
      });
    }
    return found;
  });
}

/** Texts whose contrast with the page is below 4.5 : 1 (WCAG 2, level AA); text inside coloured marks is left out. */
function lowContrast(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const luminance = (colour: string) => {
      const [r, g, b] = colour.match(/[\d.]+/g)!.map((part) => {
        const c = Number(part) / 255;
        return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
    };
    const paper = luminance(getComputedStyle(document.body).backgroundColor);
    const ratio = (colour: string) => {
      const [high, low] = [luminance(colour), paper].sort((a, b) => b - a);
      return (high! + 0.05) / (low! + 0.05);
    };
    const texts = [...document.querySelectorAll('svg text')].filter(
      (text) => !text.closest('.role-mark') || text.getAttribute('fill') === '#1f2328',
    );
    const drawn = texts.map((text) => ({ text: text.textContent, colour: getComputedStyle(text).fill }));
    const written = [
      ...document.querySelectorAll(
        'p, li, td, th, dt, dd, caption, figcaption, :not(.passage > span) > small, a, h1, h2, h3',
      ),
    ].map((element) => ({ text: element.textContent, colour: getComputedStyle(element).color }));
    return [...drawn, ...written]
      .filter(({ colour }) => ratio(colour) < 4.5)
      .map(({ text, colour }) => `${text?.slice(0, 40)}: ${colour} ${ratio(colour).toFixed(2)}`);
  });
}

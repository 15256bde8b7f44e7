/** Draws figures: Vega-Lite → Vega → SVG text, the same bytes for the same figure. */
import * as vega from 'vega';
import { type Config, compile, type TopLevelSpec } from 'vega-lite';
import type { Figure } from './figures/types.js';
import { escapeHtml, printable } from './html.js';
import { categories, colours } from './palette.js';

const FONT = 'Helvetica, Arial, "Liberation Sans", "DejaVu Sans", sans-serif';

/** Longest label of an axis or a legend in px; the rest is cut with an ellipsis. */
export const LABEL_LIMIT = 220;

const CONFIG: Config = {
  background: 'white',
  font: FONT,
  padding: 6,
  locale: { number: { decimal: '.', thousands: '\u202f', grouping: [3], currency: ['', ''] } },
  view: { stroke: null },
  axis: {
    labelColor: colours.muted,
    titleColor: colours.ink,
    labelFontSize: 11,
    titleFontSize: 12,
    titleFontWeight: 'normal',
    titlePadding: 8,
    domainColor: colours.axis,
    tickColor: colours.axis,
    gridColor: colours.grid,
    labelLimit: LABEL_LIMIT,
    labelOverlap: true,
    labelFlush: false,
    labelSeparation: 6,
    labelPadding: 5,
  },
  axisX: { titleLimit: 560 },
  axisY: { titleLimit: 260 },
  legend: {
    labelColor: colours.ink,
    titleColor: colours.ink,
    labelFontSize: 11,
    titleFontSize: 12,
    titleFontWeight: 'normal',
    labelLimit: LABEL_LIMIT,
    symbolType: 'square',
  },
  header: { labelColor: colours.ink, titleColor: colours.ink, labelFontSize: 12, labelFontWeight: 'normal' },
  title: { color: colours.ink, fontSize: 12, fontWeight: 'normal' },
  text: { color: colours.ink, font: FONT, fontSize: 11 },
  rule: { color: colours.muted },
  range: { category: [...categories] },
};

/** The specification as a file of its own: schema, house style, and only characters that may stand in a file. */
export function completeSpec(figure: Figure): TopLevelSpec {
  const spec = {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    description: figure.title,
    ...figure.spec,
    config: CONFIG,
  };
  return JSON.parse(JSON.stringify(spec), (_, value) => (typeof value === 'string' ? printable(value) : value));
}

/** One SVG document. Its marks carry <title> elements, which browsers show as tooltips without any script. */
export async function drawSvg(figure: Figure): Promise<string> {
  estimateTextWidths();
  const view = new vega.View(vega.parse(compile(completeSpec(figure)).spec), { renderer: 'none' });
  try {
    return finish(await view.toSVG(), figure);
  } finally {
    view.finalize();
  }
}

/** A start tag; quoted attribute values may hold ">". Text between tags never matches, since its "<" is escaped. */
const TAG = /<[a-z](?:[^">]|"[^"]*")*>/gi;

function finish(svg: string, figure: Figure): string {
  const ids = new Map<string, string>();
  for (const [tag] of svg.matchAll(TAG)) {
    const id = / id="([^"]+)"/.exec(tag)?.[1];
    if (id) ids.set(id, `${figure.name}-${ids.size + 1}`);
  }
  return svg
    .replace(TAG, (tag) => finishTag(tag, ids))
    .replace(/^<svg\b/, `<svg role="img" aria-label="${escapeHtml(figure.title)}" font-family="${escapeHtml(FONT)}"`);
}

function finishTag(tag: string, ids: ReadonlyMap<string, string>): string {
  const [, element, label] = /^<(path|text|rect) aria-label="([^"]*)"/.exec(tag) ?? [];
  const finished = tag
    // One image with one name for screen readers; what the marks say becomes tooltips.
    .replace(/ aria-(?:label|roledescription|hidden)="[^"]*"| role="graphics-[a-z]+"/g, '')
    // Vega numbers its ids through the life of the process, and several drawings share a page.
    .replace(/ id="([^"]+)"/, (_, id) => ` id="${ids.get(id)}"`)
    .replace(/url\(#([^)]+)\)/g, (_, id) => `url(#${ids.get(id)})`)
    // The same face on every text, and digits far below a pixel: said once, and not at all.
    .replace(/ font-family="[^"]*"/g, '')
    .replace(/ (?:transform|d|[xy]2?|width|height)="[^"]*"/g, (attribute) =>
      attribute.replace(/-?\d+\.\d{3,}(?:e-?\d+)?/g, (number) => String(Math.round(Number(number) * 100) / 100)),
    );
  if (label === undefined) return finished;
  const title = `<title>${label}</title>`;
  return finished.endsWith('/>') ? `${finished.slice(0, -2)}>${title}</${element}>` : finished + title;
}

/**
 * Without a canvas Vega takes every character for 0.8 em wide, which tears legends and axis titles apart. These widths
 * are upper bounds for the usual sans-serif faces; being fixed, they also keep the drawing the same on every machine.
 */
function estimateTextWidths(): void {
  const metrics = (vega as unknown as { textMetrics: { width: (item: TextItem, text?: unknown) => number } })
    .textMetrics;
  metrics.width = (item, text) => {
    const lines = [text ?? item.text].flat().map((line) => textWidth(String(line ?? ''), item.fontSize ?? 11));
    return Math.min(Math.max(0, ...lines), item.limit || Number.POSITIVE_INFINITY);
  };
}

interface TextItem {
  readonly text?: unknown;
  readonly fontSize?: number;
  /** Longer text is cut to this many px. */
  readonly limit?: number;
}

/** As many columns of a legend as fit into a width in px beside one another, but not more than four. */
export function legendColumns(names: readonly string[], width: number): number {
  const entry = Math.max(...names.map((name) => Math.min(textWidth(name, 11), LABEL_LIMIT))) + 40;
  return Math.max(1, Math.min(4, Math.floor(width / entry)));
}

/** Width of a text in px. */
export function textWidth(text: string, fontSize: number): number {
  let em = 0;
  for (const character of text) {
    if ("iIjl|.,:;'!".includes(character)) em += 0.32;
    else if ('ftr()[]-/ '.includes(character)) em += 0.4;
    else if ('mwMW%@'.includes(character)) em += 0.95;
    else if (character >= 'A' && character <= 'Z') em += 0.7;
    // Hangul and everything behind it, among it the other scripts of East Asia, emoji and U+FFFD.
    else if (character >= '\u1100') em += 1.2;
    else em += 0.62;
  }
  return em * fontSize;
}

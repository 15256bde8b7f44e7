/** The page around the sections: one file without script, font or request of its own. */
import { readFileSync } from 'node:fs';
import type { TopLevelSpec } from 'vega-lite';
import type { Figure } from './figures/types.js';
import { Html, type HtmlValue, html } from './html.js';
import { darkRules } from './palette.js';

/** A figure with its files' contents. */
export interface DrawnFigure {
  readonly name: string;
  readonly svg: string;
  readonly csv: string;
  readonly spec: TopLevelSpec;
}

export interface Section {
  readonly id: string;
  readonly title: string;
  readonly body: HtmlValue;
}

/** Below this width in px the letters of a drawing get too small; narrower screens scroll it instead. */
const SMALLEST_WIDTH = 600;

const DARK_PAPER = '#12161b';

function styleSheet(): string {
  const own = readFileSync(new URL('./style.css', import.meta.url), 'utf8');
  return `${own}
figure svg [fill="white"]{fill:none}
@media screen and (prefers-color-scheme: dark){
${darkRules('figure svg', DARK_PAPER)}
figure svg [fill="white"]{fill:none}
}
`;
}

/** @param instead shown in place of the drawing */
export function figureHtml(figure: Figure, drawn: DrawnFigure, instead?: Html): Html {
  const data = `data:text/csv;charset=utf-8,${encodeURI(drawn.csv).replaceAll('#', '%23')}`;
  return html`<figure id="figure-${figure.name}" aria-labelledby="title-${figure.name}">
<h3 id="title-${figure.name}">${figure.title}</h3>
${instead ?? scrolledDrawing(figure, drawn)}
<figcaption>${figure.caption} <a class="download" download="${figure.name}.csv" href="${data}">Data as CSV</a></figcaption>
</figure>
`;
}

function scrolledDrawing({ title }: Figure, { svg }: DrawnFigure): Html {
  const natural = Number(/ width="([\d.]+)"/.exec(svg)?.[1] ?? 0);
  const narrowest = Math.round(Math.min(natural, SMALLEST_WIDTH));
  return html`<div class="scroll" tabindex="0" role="group" aria-label="Drawing: ${title}">
${new Html(svg.replace(/^<svg\b/, `<svg style="--narrowest:${narrowest}px"`))}
</div>`;
}

/** @param subtitle one line below the title. */
export function page(title: string, subtitle: HtmlValue, sections: readonly Section[], footer: HtmlValue): string {
  const policy = "default-src 'none'; style-src 'unsafe-inline'";
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} – Tandem report</title>
<style>
${new Html(styleSheet())}</style>
</head>
<body>
<header>
<h1>${title}</h1>
<p class="subtitle">${subtitle}</p>
<nav aria-label="Sections"><ul>
${sections.map((section) => html`<li><a href="#${section.id}">${section.title}</a></li>\n`)}</ul></nav>
</header>
<main>
${sections.map(
  (section) => html`<section id="${section.id}" aria-labelledby="heading-${section.id}">
<h2 id="heading-${section.id}">${section.title}</h2>
${section.body}</section>
`,
)}</main>
<footer>${footer}</footer>
</body>
</html>
`.text;
}

/** @param version of the program that made the result, where there is a result.json */
export function footer(version?: string): HtmlValue {
  if (version === undefined) return 'Written by Tandem.';
  return `Written by Tandem ${version}. The numbers behind this page, and wall-clock times, are in result.json beside it.`;
}

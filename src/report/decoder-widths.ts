/** Puts the report of an experiment on the widths of a decoder's tokens together. */
import type { DecoderWidthsResult } from '../experiment/decoder-widths/result.js';
import { searchProgressFigure, searchTrialsFigure } from './figures/search.js';
import { tokenWidthsFigure } from './figures/token-widths.js';
import { widthSharesFigure } from './figures/width-shares.js';
import { figureSection, Gallery } from './gallery.js';
import { type HtmlValue, html } from './html.js';
import { footer, page, type Section } from './page.js';
import { perfettoTrace } from './perfetto.js';
import { feasible } from './ratios.js';
import type { Report } from './report.js';
import { perplexityView, widthsSearchesOf } from './search-view.js';
import { decoderWidthsSummary, widthsSearchTable } from './sections/decoder-widths-summary.js';
import { conservationSection, constantsSection, decoderProvenance, remarksSection } from './sections/evidence.js';
import { machinesSection } from './sections/machines.js';

const PASSAGE =
  'The end of a test sequence, token by token from left to right, and the bits at which the last step reads their keys and ' +
  'values in each layer; 0 bits: it does not. Widths follow what attention gave a token up to that step. The last token is the ' +
  'step’s own.';

/** Equal results give equal bytes: wall-clock timings are not shown. */
export async function renderDecoderWidths(result: DecoderWidthsResult): Promise<Report> {
  const machines = feasible(result.machines);
  const gallery = new Gallery();
  const perfetto = perfettoTrace(machines);
  const sections = [
    decoderWidthsSummary(result),
    await figureSection(gallery, 'widths', 'Widths of tokens', [
      tokenWidthsFigure(result, PASSAGE),
      widthSharesFigure({ widthShares: result.widthShares, technique: result.technique }),
    ]),
    await searchSection(gallery, result),
    await machinesSection(gallery, machines, perfetto !== undefined),
    constantsSection(machines),
    conservationSection(machines),
    remarksSection(result.remarks, machines),
    decoderProvenance(result, machines),
  ];
  const subtitle = `${result.technique.name} on ${result.decoder.name}, ${result.text.corpora.join(', ')}`;
  return {
    html: page(
      result.name,
      subtitle,
      sections.filter((section) => section !== undefined),
      footer(result.tandemVersion),
    ),
    figures: gallery.drawn,
    perfetto,
  };
}

async function searchSection(gallery: Gallery, result: DecoderWidthsResult): Promise<Section | undefined> {
  const searches = widthsSearchesOf(result);
  if (searches.length === 0) return undefined;
  const body: HtmlValue[] = [];
  for (const searched of searches) {
    const view = perplexityView(searched);
    body.push(widthsSearchTable(searched));
    body.push(...(await gallery.showAll([searchProgressFigure(view), searchTrialsFigure(view)])));
  }
  return { id: 'search', title: 'Search', body: html`${body}` };
}

/** Puts the report of an experiment on the widths of a decoder's tokens together. */
import type { DecoderWidthsResult } from '../experiment/decoder-widths/result.js';
import { assembled } from './assemble.js';
import { tokenWidthsFigure } from './figures/token-widths.js';
import { widthSharesFigure } from './figures/width-shares.js';
import { figureSection, Gallery } from './gallery.js';
import { perfettoTrace } from './perfetto.js';
import { feasible } from './ratios.js';
import type { Report } from './report.js';
import { perplexityView, widthsSearchesOf } from './search-view.js';
import { decoderWidthsSummary, widthsSearchTable } from './sections/decoder-widths-summary.js';
import { conservationSection, constantsSection, decoderProvenance, remarksSection } from './sections/evidence.js';
import { machinesSection } from './sections/machines.js';
import { searchSection } from './sections/search.js';

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
    await searchSection(
      gallery,
      widthsSearchesOf(result).map((searched) => ({
        view: perplexityView(searched),
        table: widthsSearchTable(searched),
      })),
    ),
    await machinesSection(gallery, machines, perfetto !== undefined),
    constantsSection(machines),
    conservationSection(machines),
    remarksSection(result.remarks, machines),
    decoderProvenance(result, machines),
  ];
  const subtitle = `${result.technique.name} on ${result.decoder.name}, ${result.text.corpora.join(', ')}`;
  return assembled(result, subtitle, sections, gallery, perfetto);
}

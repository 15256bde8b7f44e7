/** Puts the report of an experiment on the widths of a decoder's tokens together. */
import type { DecoderWidthsResult } from '../experiment/decoder-widths/result.js';
import { assembled, type Report } from './assemble.js';
import { tokenWidthsFigure } from './figures/token-widths.js';
import { widthSharesFigure } from './figures/width-shares.js';
import { figureSection, Gallery } from './gallery.js';
import type { Section } from './page.js';
import { perfettoTrace } from './perfetto.js';
import { feasible } from './ratios.js';
import { perplexityView, widthsSearchesOf } from './search-view.js';
import { outcomesByShape } from './sections/comparison.js';
import { decoderWidthsSummary, widthsSearchTable, widthsTraces } from './sections/decoder-widths-summary.js';
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
    shapesSection(result),
    await machinesSection(gallery, machines, perfetto !== undefined),
    constantsSection(machines),
    conservationSection(machines),
    remarksSection(result.remarks, machines),
    decoderProvenance(result, machines),
  ];
  const subtitle = `${result.technique.name} on ${result.decoder.name}, ${result.text.corpora.join(', ')}`;
  return assembled(result, subtitle, sections, gallery, perfetto);
}

function shapesSection(result: DecoderWidthsResult): Section | undefined {
  const traces = widthsTraces(result);
  const table = outcomesByShape(
    `By shape: the shares that steps of ${result.decoder.name} needed here, layer by relative depth, on the sizes of other decoders that decode ` +
      'a text of so many tokens step by step. Nothing of those decoders was run, so nothing is known of their quality.',
    result.shapes ?? [],
    (machine) => `shares of ${traces.get(machine) ?? result.technique.name}`,
  );
  return table && { id: 'shapes', title: 'By shape', body: table };
}

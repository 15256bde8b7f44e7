/** How the searches of a run went, one after the other. */
import { costName, searchProgressFigure, searchTrialsFigure } from '../figures/search.js';
import { count, plain } from '../format.js';
import type { Gallery } from '../gallery.js';
import { type Html, type HtmlValue, htmlTable } from '../html.js';
import type { Section } from '../page.js';
import type { SearchView } from '../search-view.js';

export interface ShownSearch {
  readonly view: SearchView;
  /** What was chosen. */
  readonly table: Html;
}

export async function searchSection(gallery: Gallery, searches: readonly ShownSearch[]): Promise<Section | undefined> {
  if (searches.length === 0) return undefined;
  const body: HtmlValue[] = [];
  for (const { view, table } of searches) {
    body.push(table, confirmationTable(view));
    body.push(...(await gallery.showAll([searchProgressFigure(view), searchTrialsFigure(view)])));
  }
  return { id: 'search', title: 'Search', body };
}

/** What was tested, in its order, and where it ended. */
function confirmationTable(view: SearchView): Html {
  const { technique, confirmation, measure, lost, mayLose } = view;
  const untested = confirmation.steps - confirmation.tests.length;
  return htmlTable(
    `Confirming the options of ${technique} on examples that the search has not seen: in each step of cost, the point that loses least at most in ` +
      `calibration, the dearest first, up to the first that may lose more than ${lost(mayLose)}. ` +
      `The last that passes was chosen. Cheaper ones that were not tested: ${count(untested)}.`,
    [
      { header: `relative ${costName(view)}`, numeric: true, cell: ({ cost }) => plain(cost) },
      { header: `${measure} lost at most`, numeric: true, cell: ({ atMost }) => lost(atMost) },
      { header: 'passes', cell: ({ atMost }) => (atMost > mayLose ? 'no' : 'yes') },
    ],
    confirmation.tests,
  );
}

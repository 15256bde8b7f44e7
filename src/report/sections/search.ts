/** How the searches of a run went, one after the other. */
import { searchProgressFigure, searchTrialsFigure } from '../figures/search.js';
import type { Gallery } from '../gallery.js';
import type { Html, HtmlValue } from '../html.js';
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
    body.push(table);
    body.push(...(await gallery.showAll([searchProgressFigure(view), searchTrialsFigure(view)])));
  }
  return { id: 'search', title: 'Search', body };
}

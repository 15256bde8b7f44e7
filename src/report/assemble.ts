/** Sections and figures of a run become its report. */
import type { Gallery } from './gallery.js';
import { type DrawnFigure, footer, page, type Section } from './page.js';

export interface Report {
  /** One file without script or request, readable on a screen of any width, in the dark and on paper. */
  readonly html: string;
  readonly figures: readonly DrawnFigure[];
  /** Timelines and series over time for a trace viewer; absent when no machine recorded any. */
  readonly perfetto?: string;
}

export function assembled(
  { name, tandemVersion }: { readonly name: string; readonly tandemVersion?: string },
  subtitle: string,
  /** Those that have nothing to show are left out. */
  sections: readonly (Section | undefined)[],
  { drawn }: Gallery,
  perfetto: string | undefined,
): Report {
  const shown = sections.filter((section) => section !== undefined);
  return { html: page(name, subtitle, shown, footer(tandemVersion)), figures: drawn, perfetto };
}

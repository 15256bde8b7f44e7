/** Sections and figures of a run become its report. */
import type { Gallery } from './gallery.js';
import { footer, page, type Section } from './page.js';
import type { Report } from './report.js';

export function assembled(
  { name, tandemVersion }: { readonly name: string; readonly tandemVersion: string },
  subtitle: string,
  /** Those that have nothing to show are left out. */
  sections: readonly (Section | undefined)[],
  { drawn }: Gallery,
  perfetto: string | undefined,
): Report {
  const shown = sections.filter((section) => section !== undefined);
  return { html: page(name, subtitle, shown, footer(tandemVersion)), figures: drawn, perfetto };
}

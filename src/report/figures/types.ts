import type { TopLevelSpec } from 'vega-lite';

/** One line of a figure's data: raw numbers in base units, named with their unit; also a line of its CSV. */
export type FigureRow = Readonly<Record<string, string | number | undefined>>;

/** A figure is data and a specification; drawing is somebody else's business. */
export interface Figure {
  /** File name without extension, unique in a report: lower case, digits and hyphens. */
  readonly name: string;
  readonly title: string;
  /** What one sees and how it was computed, in plain text. */
  readonly caption: string;
  readonly rows: readonly FigureRow[];
  /** Vega-Lite, with the data inline. A column `label` of the data becomes the tooltip of its mark. */
  readonly spec: TopLevelSpec;
}

/** Total width of a figure in px, the same for all that can stretch. */
export const FIGURE_WIDTH = 720;

/** File name from a title or a name that a user gave. */
export function slug(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
}

export function sentenceCase(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** "stopBits", "topKCycles" or "v-buffer_reads" as words: "stop bits", "top k cycles", "v buffer reads". */
export function words(identifier: string): string {
  return identifier
    .replace(/(?<=[a-z0-9])[A-Z]|(?<=[A-Z])[A-Z](?=[a-z])/g, (capital) => ` ${capital.toLowerCase()}`)
    .replace(/[_-]+/g, ' ');
}

/** The figures of a report: drawn one after the other, shown on the page, and kept for their files. */
import type { Figure } from './figures/types.js';
import { type Html, type HtmlValue, printable } from './html.js';
import { type DrawnFigure, figureHtml, type Section } from './page.js';
import { csv } from './tables.js';
import { completeSpec, drawSvg } from './vega.js';

export class Gallery {
  readonly drawn: DrawnFigure[] = [];

  /** @param instead what the page shows in place of the drawing, which is then only a file */
  async show(figure: Figure | undefined, instead?: Html): Promise<HtmlValue> {
    if (!figure) return undefined;
    const columns = [...new Set(figure.rows.flatMap((row) => Object.keys(row)))];
    const drawn = {
      name: figure.name,
      svg: await drawSvg(figure),
      csv: printable(csv(figure.rows, columns)),
      spec: completeSpec(figure),
    };
    this.drawn.push(drawn);
    return figureHtml(figure, drawn, instead);
  }

  async showAll(figures: readonly (Figure | undefined)[]): Promise<HtmlValue[]> {
    const shown: HtmlValue[] = [];
    for (const figure of figures) shown.push(await this.show(figure));
    return shown;
  }
}

/** A section of figures alone; none where there is nothing to draw. */
export async function figureSection(
  gallery: Gallery,
  id: string,
  title: string,
  figures: readonly (Figure | undefined)[],
): Promise<Section | undefined> {
  if (figures.every((figure) => figure === undefined)) return undefined;
  return { id, title, body: await gallery.showAll(figures) };
}

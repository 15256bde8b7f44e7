/** Puts a report together: figures drawn from the result, sections around them, one page. */
import type { MachineOutcome, RunResult } from '../experiment/result.js';
import type { Infeasible, SimulationResult } from '../simulator/types.js';
import { areaFigure } from './figures/area.js';
import { curveCostsFigure } from './figures/curve-costs.js';
import { curvesFigure } from './figures/curves.js';
import { energyFigure } from './figures/energy.js';
import { headsFigure } from './figures/heads.js';
import { histogramFigures } from './figures/histograms.js';
import { powerOverTimeFigure } from './figures/power-over-time.js';
import { searchesOf, searchProgressFigure, searchTrialsFigure } from './figures/search.js';
import { sparsityFigure } from './figures/sparsity.js';
import { stallsFigure } from './figures/stalls.js';
import { thresholdsFigure } from './figures/thresholds.js';
import { timelineFigures } from './figures/timeline.js';
import { tokenWidthsFigure } from './figures/token-widths.js';
import { tradeoffFigure } from './figures/tradeoff.js';
import { trainingFigure } from './figures/training.js';
import type { Figure } from './figures/types.js';
import { utilisationFigure } from './figures/utilisation.js';
import { utilisationOverTimeFigure } from './figures/utilisation-over-time.js';
import { wavefrontFigures } from './figures/wavefronts.js';
import { widthSharesFigure } from './figures/width-shares.js';
import { zerosFigure } from './figures/zeros.js';
import { type HtmlValue, html, printable } from './html.js';
import { type DrawnFigure, figureHtml, page, type Section } from './page.js';
import { perfettoTrace } from './perfetto.js';
import { withRatios } from './ratios.js';
import { searchTable, shapesTable, tracesNote } from './sections/comparison.js';
import {
  configurations,
  conservationSection,
  constantsSection,
  provenanceSection,
  remarksSection,
} from './sections/evidence.js';
import { areaTable, countsTable, energyTable, overTimeTable, perfettoNote, stallsTable } from './sections/machines.js';
import { machineTable, summarySection } from './sections/summary.js';
import { csv } from './tables.js';
import { completeSpec, drawSvg } from './vega.js';

export interface Report {
  /** One file without script or request, readable on a screen of any width, in the dark and on paper. */
  readonly html: string;
  readonly figures: readonly DrawnFigure[];
  /** Timelines and series over time for a trace viewer; absent when no machine recorded any. */
  readonly perfetto?: string;
}

/** The report of a whole run. Equal results give equal bytes: wall-clock timings are not shown. */
export async function renderReport(result: RunResult): Promise<Report> {
  const machines = feasible(result.machines);
  const gallery = new Gallery();
  const perfetto = perfettoTrace(machines);
  const sections = [
    summarySection(result),
    await figureSection(gallery, 'accuracy', 'Accuracy and pruning', [
      tradeoffFigure(result),
      curvesFigure(result),
      curveCostsFigure(result),
      headsFigure(result),
      zerosFigure(result),
      tokenWidthsFigure(result),
      widthSharesFigure(result),
      trainingFigure(result),
      thresholdsFigure(result),
      sparsityFigure(result),
    ]),
    await searchSection(gallery, result),
    shapesSection(result),
    await machinesSection(gallery, machines, perfetto !== undefined, tracesNote(result)),
    constantsSection(machines),
    conservationSection(machines),
    remarksSection(result.remarks, machines),
    provenanceSection(result, machines),
  ];
  const subtitle = `${result.technique.name} on ${result.model.name}, ${result.data.name}`;
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

/** A report of simulations alone; the first feasible machine is the reference. */
export async function renderSimulation(results: readonly (SimulationResult | Infeasible)[]): Promise<Report> {
  const machines = feasible(results);
  const gallery = new Gallery();
  const perfetto = perfettoTrace(machines);
  const sections = [
    { id: 'summary', title: 'Summary', body: machineTable(withRatios(results)) },
    await machinesSection(gallery, machines, perfetto !== undefined),
    constantsSection(machines),
    conservationSection(machines),
    remarksSection([], machines),
    { id: 'provenance', title: 'Provenance', body: configurations(machines) },
  ];
  return {
    html: page(
      'Simulation',
      results.map((result) => result.name).join(', '),
      sections.filter((section) => section !== undefined),
      footer(),
    ),
    figures: gallery.drawn,
    perfetto,
  };
}

/** Draws figures and keeps them for the figures' files. */
class Gallery {
  readonly drawn: DrawnFigure[] = [];

  async show(figure: Figure | undefined): Promise<HtmlValue> {
    if (!figure) return undefined;
    const columns = [...new Set(figure.rows.flatMap((row) => Object.keys(row)))];
    const drawn = {
      name: figure.name,
      svg: await drawSvg(figure),
      csv: printable(csv(figure.rows, columns)),
      spec: completeSpec(figure),
    };
    this.drawn.push(drawn);
    return figureHtml(figure, drawn);
  }

  async showAll(figures: readonly (Figure | undefined)[]): Promise<HtmlValue[]> {
    const shown: HtmlValue[] = [];
    for (const figure of figures) shown.push(await this.show(figure));
    return shown;
  }
}

async function figureSection(
  gallery: Gallery,
  id: string,
  title: string,
  figures: readonly (Figure | undefined)[],
): Promise<Section | undefined> {
  if (figures.every((figure) => figure === undefined)) return undefined;
  return { id, title, body: await gallery.showAll(figures) };
}

async function searchSection(gallery: Gallery, result: RunResult): Promise<Section | undefined> {
  const searches = searchesOf(result);
  if (searches.length === 0) return undefined;
  const body: HtmlValue[] = [];
  for (const searched of searches) {
    body.push(searchTable(searched));
    body.push(...(await gallery.showAll([searchProgressFigure(searched), searchTrialsFigure(searched)])));
  }
  return { id: 'search', title: 'Search', body };
}

function shapesSection(result: RunResult): Section | undefined {
  const table = shapesTable(result);
  return table && { id: 'shapes', title: 'By shape', body: table };
}

async function machinesSection(
  gallery: Gallery,
  machines: readonly SimulationResult[],
  hasPerfetto: boolean,
  note?: HtmlValue,
): Promise<Section | undefined> {
  if (machines.length === 0) return undefined;
  return {
    id: 'machines',
    title: 'Machines',
    body: html`${note}${await gallery.showAll(histogramFigures(machines))}${countsTable(machines)}
${await gallery.show(energyFigure(machines))}${energyTable(machines)}
${await gallery.show(areaFigure(machines))}${areaTable(machines)}
${await gallery.show(utilisationFigure(machines))}${await gallery.showAll([
  utilisationOverTimeFigure(machines),
  powerOverTimeFigure(machines),
])}${overTimeTable(machines)}${await gallery.show(stallsFigure(machines))}${stallsTable(machines)}
${await gallery.showAll([...timelineFigures(machines), ...wavefrontFigures(machines)])}${hasPerfetto && perfettoNote()}`,
  };
}

function feasible(machines: readonly (MachineOutcome | SimulationResult | Infeasible)[]): SimulationResult[] {
  return machines.filter((machine): machine is SimulationResult => machine.feasible);
}

function footer(version?: string): HtmlValue {
  if (version === undefined) return 'Written by Tandem.';
  return `Written by Tandem ${version}. The numbers behind this page, and wall-clock times, are in result.json beside it.`;
}

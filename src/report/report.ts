/** Puts a report together: figures drawn from the result, sections around them, one page. */
import type { RunResult } from '../experiment/result.js';
import type { Infeasible, SimulationResult } from '../simulator/types.js';
import { assembled, type Report } from './assemble.js';
import { curveCostsFigure } from './figures/curve-costs.js';
import { curvesFigure } from './figures/curves.js';
import { headsFigure } from './figures/heads.js';
import { sparsityFigure } from './figures/sparsity.js';
import { thresholdsFigure } from './figures/thresholds.js';
import { tokenWidthsFigure } from './figures/token-widths.js';
import { tradeoffFigure } from './figures/tradeoff.js';
import { trainingFigure } from './figures/training.js';
import { widthSharesFigure } from './figures/width-shares.js';
import { zerosFigure } from './figures/zeros.js';
import { figureSection, Gallery } from './gallery.js';
import type { Section } from './page.js';
import { perfettoTrace } from './perfetto.js';
import { feasible, withRatios } from './ratios.js';
import { accuracyView, searchesOf } from './search-view.js';
import { searchTable, shapesTable, tracesNote } from './sections/comparison.js';
import {
  configurations,
  conservationSection,
  constantsSection,
  provenanceSection,
  remarksSection,
} from './sections/evidence.js';
import { machinesSection } from './sections/machines.js';
import { searchSection } from './sections/search.js';
import { machineTable, summarySection } from './sections/summary.js';

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
    await searchSection(
      gallery,
      searchesOf(result).map((searched) => ({ view: accuracyView(searched), table: searchTable(searched) })),
    ),
    shapesSection(result),
    await machinesSection(gallery, machines, perfetto !== undefined, tracesNote(result)),
    constantsSection(machines),
    conservationSection(machines),
    remarksSection(result.remarks, machines),
    provenanceSection(result, machines),
  ];
  const subtitle = `${result.technique.name} on ${result.model.name}, ${result.data.name}`;
  return assembled(result, subtitle, sections, gallery, perfetto);
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
  const names = results.map((result) => result.name).join(', ');
  return assembled({ name: 'Simulation' }, names, sections, gallery, perfetto);
}

function shapesSection(result: RunResult): Section | undefined {
  const table = shapesTable(result);
  return table && { id: 'shapes', title: 'By shape', body: table };
}

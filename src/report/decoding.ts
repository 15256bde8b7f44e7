/** Puts the report of an experiment on decoding together: tokens that leave early, what that costs, and what machines gain. */
import type { DecodingResult } from '../experiment/decoding/result.js';
import { assembled, type Report } from './assemble.js';
import { depthQualityFigure } from './figures/depth-quality.js';
import { exitLossesFigure } from './figures/exit-losses.js';
import { exitSharesFigure } from './figures/exit-shares.js';
import { exitTextFigure } from './figures/exit-text.js';
import { exitThresholdsFigure } from './figures/exit-thresholds.js';
import { exitTrainingFigure } from './figures/exit-training.js';
import { figureSection, Gallery } from './gallery.js';
import { html } from './html.js';
import type { Section } from './page.js';
import { perfettoTrace } from './perfetto.js';
import { feasible } from './ratios.js';
import { outcomesByShape } from './sections/comparison.js';
import { calibrationTable, decodingSummary } from './sections/decoding-summary.js';
import { conservationSection, constantsSection, decodingProvenance, remarksSection } from './sections/evidence.js';
import { layersTable, passage } from './sections/exits.js';
import { machinesSection } from './sections/machines.js';

/** Equal results give equal bytes: wall-clock timings are not shown. */
export async function renderDecoding(result: DecodingResult): Promise<Report> {
  const machines = feasible(result.machines);
  const gallery = new Gallery();
  const perfetto = perfettoTrace(machines);
  const sections = [
    decodingSummary(result),
    await exitsSection(gallery, result),
    await qualitySection(gallery, result),
    await figureSection(gallery, 'training', 'Training', [exitTrainingFigure(result)]),
    shapesSection(result),
    await machinesSection(gallery, machines, perfetto !== undefined),
    constantsSection(machines),
    conservationSection(machines),
    remarksSection(result.remarks, machines),
    decodingProvenance(result, machines),
  ];
  const subtitle = `${result.technique.name} on ${result.decoder.name}, ${result.text.corpora.join(', ')}`;
  return assembled(result, subtitle, sections, gallery, perfetto);
}

async function exitsSection(gallery: Gallery, result: DecodingResult): Promise<Section> {
  return {
    id: 'exits',
    title: 'Where tokens leave',
    body: html`${await gallery.show(exitTextFigure(result), passage(result))}${await gallery.showAll([
      exitSharesFigure(result),
      exitLossesFigure(result),
    ])}${layersTable(result)}`,
  };
}

async function qualitySection(gallery: Gallery, result: DecodingResult): Promise<Section> {
  return {
    id: 'quality',
    title: 'Quality against depth',
    body: html`${await gallery.show(depthQualityFigure(result))}${calibrationTable(result)}${await gallery.show(exitThresholdsFigure(result))}`,
  };
}

function shapesSection({ shapes, decoder, technique }: DecodingResult): Section | undefined {
  const table = outcomesByShape(
    `By shape: the exits of ${decoder.name} measured here, layer by relative depth, on the sizes of other decoders. Nothing of those ` +
      'decoders was run, so nothing is known of their quality.',
    shapes,
    () => `exits under ${technique.name}`,
  );
  return table && { id: 'shapes', title: 'By shape', body: table };
}

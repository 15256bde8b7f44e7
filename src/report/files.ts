/** Writes reports to disk. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeAtomically } from '../atomic-file.js';
import type { DecoderWidthsResult } from '../experiment/decoder-widths/result.js';
import type { DecodingResult } from '../experiment/decoding/result.js';
import type { RunResult } from '../experiment/result.js';
import type { Report } from './assemble.js';
import { renderDecoderWidths } from './decoder-widths.js';
import { renderDecoding } from './decoding.js';
import { PERFETTO_FILE } from './perfetto.js';
import { renderReport } from './report.js';

/** Renders a run's report into its folder; see `writeRendered`. */
export async function writeReport(folder: string, result: RunResult): Promise<Report> {
  const report = await renderReport(result);
  await writeRendered(folder, report);
  return report;
}

/** The same for a run of an experiment on decoding. */
export async function writeDecodingReport(folder: string, result: DecodingResult): Promise<Report> {
  const report = await renderDecoding(result);
  await writeRendered(folder, report);
  return report;
}

/** The same for a run of an experiment on the widths of a decoder's tokens. */
export async function writeDecoderWidthsReport(folder: string, result: DecoderWidthsResult): Promise<Report> {
  const report = await renderDecoderWidths(result);
  await writeRendered(folder, report);
  return report;
}

/**
 * Writes report.html, for each figure figures/NAME.svg, NAME.csv and NAME.vl.json (its Vega-Lite specification), and
 * figures/timeline.perfetto.json where a machine recorded a timeline.
 * Each file appears whole or not at all, the page last.
 */
export async function writeRendered(folder: string, report: Report): Promise<void> {
  await mkdir(join(folder, 'figures'), { recursive: true });
  for (const { name, svg, csv, spec } of report.figures) {
    const path = join(folder, 'figures', name);
    await writeAtomically(`${path}.svg`, svg);
    await writeAtomically(`${path}.csv`, csv);
    await writeAtomically(`${path}.vl.json`, `${JSON.stringify(spec, null, 2)}\n`);
  }
  if (report.perfetto !== undefined) await writeAtomically(join(folder, 'figures', PERFETTO_FILE), report.perfetto);
  await writeAtomically(join(folder, 'report.html'), report.html);
}

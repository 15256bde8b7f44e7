/** How a search went: the best so far of each sampler, and all trials with the one that was chosen. */
import type { SearchOutcome } from '../../experiment/result.js';
import { plain } from '../format.js';
import { bestSoFar, interval } from '../over-seeds.js';
import { colours, series } from '../palette.js';
import type { SearchRun, SearchView } from '../search-view.js';
import { legendColumns } from '../vega.js';
import { FIGURE_WIDTH, type Figure, slug } from './types.js';

const PLOT_WIDTH = FIGURE_WIDTH - 90;

const QUANTITIES: Readonly<Record<SearchOutcome['minimised'], string>> = {
  cycles: 'cycles',
  energy: 'energy',
  'energy-delay': 'energy × cycles',
};

/** "energy × cycles on vssa" */
export const costName = ({ minimised, machine }: Pick<SearchView, 'minimised' | 'machine'>): string =>
  `${QUANTITIES[minimised]} on ${machine}`;

function samplerColour({ samplers }: SearchView) {
  const names = samplers.map(({ name }) => name);
  return {
    field: 'sampler',
    type: 'nominal' as const,
    title: null,
    scale: { domain: names, range: names.map((_, index) => series[index % series.length]!) },
    legend: {
      orient: 'top' as const,
      symbolType: 'circle',
      symbolOpacity: 1,
      columns: legendColumns(names, PLOT_WIDTH),
    },
  };
}

/** Where there is more than one run to compare. */
export function searchProgressFigure(search: SearchView): Figure | undefined {
  const { technique } = search;
  const runs = search.samplers.flatMap((sampler) => sampler.runs);
  if (runs.length < 2) return undefined;
  const rows = search.samplers.flatMap(({ name, runs }) => progressRows(name, runs));
  if (rows.length === 0) return undefined;
  const repetitions = Math.max(...search.samplers.map(({ runs }) => runs.length));
  const x = { field: 'trial', type: 'quantitative', title: 'trials', axis: { grid: false, tickMinStep: 1 } } as const;
  const scale = { type: 'log', nice: false, padding: 8 } as const;
  const color = samplerColour(search);
  return {
    name: `search-${slug(technique)}`,
    title: `Searching the options of ${technique}`,
    caption:
      `Lowest ${costName(search)} so far that keeps the ${search.budget}, relative to the ` +
      `point that changes the model least: mean over ${repetitions} seeds` +
      (repetitions > 1
        ? ', with its 95\u00a0% confidence interval, not below what the best seed found; drawn from where every seed has found one'
        : '') +
      '. The vertical axis is logarithmic.',
    rows,
    spec: {
      width: PLOT_WIDTH,
      height: 280,
      data: { values: rows },
      layer: [
        {
          mark: { type: 'area', opacity: 0.18, aria: false },
          encoding: {
            x,
            y: { field: 'low', type: 'quantitative', scale, title: `relative ${QUANTITIES[search.minimised]}` },
            y2: { field: 'high' },
            color,
          },
        },
        {
          mark: { type: 'line', strokeWidth: 1.6, aria: false },
          encoding: { x, y: { field: 'cost', type: 'quantitative', scale, axis: { tickCount: 6 } }, color },
        },
      ],
    },
  };
}

function progressRows(sampler: string, runs: readonly SearchRun[]) {
  const all = runs.map(bestSoFar);
  const trials = Math.max(...all.map(({ length }) => length));
  return Array.from({ length: trials }, (_, trial) => {
    // A run that ended early keeps what it had.
    const costs = all.flatMap((best) => best[Math.min(trial, best.length - 1)] ?? []);
    if (costs.length < runs.length) return undefined;
    const { mean: cost, low, high } = interval(costs);
    return { sampler, trial: trial + 1, cost, low: Math.max(low, Math.min(...costs)), high, seeds: costs.length };
  }).filter((row) => row !== undefined);
}

export function searchTrialsFigure(search: SearchView): Figure {
  const { technique, samplers, chosen, measure, bound, text } = search;
  const rows = samplers.flatMap(({ name, runs }) =>
    runs.flatMap(({ seed, trials }) =>
      trials.map(({ cost, quality, point }, trial) => ({
        sampler: name,
        seed,
        trial: trial + 1,
        point: point.join(' '),
        cost,
        [measure]: quality,
        chosen: name === samplers[0]!.name && point.join() === chosen.point.join() ? 'yes' : 'no',
      })),
    ),
  );
  const values = rows.map((row) => ({
    ...row,
    label: `${row.sampler}, trial ${row.trial}: cost ${plain(row.cost)}, ${measure} ${text(Number(row[measure]))}`,
  }));
  const y = {
    field: measure,
    type: 'quantitative',
    title: `${measure} in calibration`,
    axis: { format: search.axisFormat, tickCount: 7 },
    scale: { zero: false, padding: 10 },
  } as const;
  const x = {
    field: 'cost',
    type: 'quantitative',
    title: `relative ${QUANTITIES[search.minimised]}`,
    scale: { type: 'log', nice: false, padding: 12 },
    axis: { format: '.2~f', tickCount: 8, grid: true },
  } as const;
  return {
    name: `search-${slug(technique)}-trials`,
    title: `What the trials of ${technique} cost`,
    caption:
      `Each point is a trial on ${search.calibration}: ${costName(search)}, relative to the point that ` +
      `changes the model least, on a logarithmic scale. ${search.keptAbove ? 'Above' : 'Below'} the dashed line (${text(bound)}), ` +
      `the ${search.budget} is kept; the ringed point is the one that the run goes on with. The vertical axis does not ` +
      'start at zero.',
    rows,
    spec: {
      width: PLOT_WIDTH,
      height: 300,
      layer: [
        {
          data: { values: [{ [measure]: bound }] },
          mark: { type: 'rule', strokeDash: [5, 4], aria: false, color: colours.muted },
          encoding: { y },
        },
        {
          data: { values },
          mark: { type: 'point', filled: true, opacity: 0.75, size: 36 },
          encoding: { x, y, color: samplerColour(search), description: { field: 'label' } },
        },
        {
          data: { values: [{ cost: chosen.cost, [measure]: chosen.quality }] },
          mark: { type: 'point', filled: false, size: 230, strokeWidth: 2, color: colours.ink, aria: false },
          encoding: { x, y },
        },
      ],
    },
  };
}

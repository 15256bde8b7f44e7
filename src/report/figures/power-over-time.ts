import type { SimulationResult } from '../../simulator/types.js';
import { engineeringScale, quantity, scaled } from '../format.js';
import { categories, colours } from '../palette.js';
import { legendColumns } from '../vega.js';
import { resolutionNote, type SampledMachine, sampledMachines, sampleRows, timeAxes } from './over-time.js';
import { FIGURE_WIDTH, type Figure } from './types.js';

const WIDTH = FIGURE_WIDTH - 80;

/** Power as time goes on, its parts on top of each other, a panel per machine. */
export function powerOverTimeFigure(machines: readonly SimulationResult[]): Figure | undefined {
  const sampled = sampledMachines(machines, 'power');
  if (sampled.length === 0) return undefined;
  const axes = timeAxes(sampled);
  const power = engineeringScale(Math.max(...sampled.map(peakWatts)), 'W');
  const groups = partGroups(sampled);
  const columns = legendColumns(
    groups.map((group) => group.name),
    WIDTH,
  );
  const panel = (one: SampledMachine, last: boolean) => {
    const { machine, times, series } = one;
    const values = groups.flatMap(({ name: group, parts }, order) => {
      const members = series.filter(({ name }) => parts.includes(name));
      if (members.length === 0) return [];
      const sums = times.slice(1).map((_, s) => members.reduce((sum, { values }) => sum + values[s]!, 0));
      // The last value stands a second time, at the end of its sample.
      return [...sums, sums.at(-1)!].map((milliwatts, sample) => ({
        part: group,
        order,
        time: times[sample]! * axes.scale.factor,
        power: milliwatts * 1e-3 * power.factor,
      }));
    });
    const drawn = times.slice(1).map((_, s) => series.reduce((sum, part) => sum + part.values[s]!, 0));
    const hasAxis = last || !axes.shared;
    const mean = series.reduce((sum, part) => sum + part.mean, 0) * 1e-3;
    return {
      title: {
        text: `${machine.name}: mean ${quantity(mean, 'W')}, peak ${scaled(peakWatts(one), power)}`,
        anchor: 'start' as const,
        frame: 'group' as const,
        offset: 6,
      },
      width: WIDTH,
      height: 130,
      data: { values },
      mark: { type: 'area' as const, interpolate: 'step-after' as const, aria: false },
      encoding: {
        x: {
          field: 'time',
          type: 'quantitative' as const,
          title: last ? `time, ${axes.scale.unit}` : null,
          scale: { domain: [0, axes.end(one) * axes.scale.factor], nice: false },
          axis: { grid: false, tickCount: 8, labels: hasAxis, ticks: hasAxis },
        },
        y: {
          field: 'power',
          type: 'quantitative' as const,
          title: `power, ${power.unit}`,
          stack: 'zero' as const,
          scale: { domain: [0, Math.max(...drawn) * 1.05e-3 * power.factor], nice: false },
          axis: { tickCount: 4 },
        },
        order: { field: 'order', type: 'quantitative' as const },
        color: {
          field: 'part',
          type: 'nominal' as const,
          title: null,
          scale: { domain: groups.map((group) => group.name), range: groups.map((group) => group.colour) },
          legend: groups.length > 1 ? { orient: 'bottom' as const, columns, columnPadding: 16 } : null,
        },
      },
    };
  };
  return {
    name: 'power-over-time',
    title: 'Power over time',
    caption:
      'Power of each machine as the run goes on, dynamic and leakage together, parts on top of each other: the area is ' +
      `the energy. Every machine has a power axis of its own.${resolutionNote(sampled)} Mean and peak are those of the ` +
      `recorded samples.${axes.note}`,
    rows: sampleRows(sampled, 'milliwatts'),
    spec: { spacing: 16, vconcat: sampled.map((one, index) => panel(one, index === sampled.length - 1)) },
  };
}

/** Of all parts together, in the samples as recorded. */
function peakWatts({ machine }: SampledMachine): number {
  const parts = machine.overTime!.series.filter((series) => series.quantity === 'power');
  const samples = Math.max(...parts.map(({ values }) => values.length));
  const totals = Array.from({ length: samples }, (_, s) =>
    parts.reduce((sum, { values }) => sum + (values[s] ?? 0), 0),
  );
  return totals.reduce((most, total) => Math.max(most, total), 0) * 1e-3;
}

interface PartGroup {
  readonly name: string;
  readonly colour: string;
  readonly parts: readonly string[];
}

/** A colour for each part, the largest first; the smallest of many share the grey. */
function partGroups(machines: readonly SampledMachine[]): PartGroup[] {
  const means = new Map<string, number>();
  for (const { series } of machines) {
    for (const { name, mean } of series) means.set(name, Math.max(means.get(name) ?? 0, mean));
  }
  const ranked = [...means.keys()].sort((a, b) => means.get(b)! - means.get(a)!);
  const own = ranked.length <= categories.length ? ranked : ranked.slice(0, categories.length - 1);
  const rest = ranked.slice(own.length);
  const groups = own.map((name, index) => ({ name, colour: categories[index]!, parts: [name] }));
  return rest.length > 0
    ? [...groups, { name: `${rest.length} smaller parts`, colour: colours.rest, parts: rest }]
    : groups;
}

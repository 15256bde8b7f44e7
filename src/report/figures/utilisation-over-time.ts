import type { SimulationResult } from '../../simulator/types.js';
import { percent } from '../format.js';
import { categories, colours } from '../palette.js';
import { textWidth } from '../vega.js';
import { resolutionNote, type SampledMachine, sampledMachines, sampleRows, timeAxes } from './over-time.js';
import { FIGURE_WIDTH, type Figure } from './types.js';

const STRIP_STEP = 38;
/** Of a strip's step, what the curve may take. */
const STRIP_SHARE = 0.8;
const LONGEST_NAME = 170;

/** How busy units and how full buffers were as time went on: a panel per machine, a strip per series. */
export function utilisationOverTimeFigure(machines: readonly SimulationResult[]): Figure | undefined {
  const sampled = sampledMachines(machines, 'utilisation');
  if (sampled.length === 0) return undefined;
  const axes = timeAxes(sampled);
  const widths = sampled.flatMap(({ series }) => series.map(({ name }) => textWidth(name, 11)));
  const nameWidth = Math.min(LONGEST_NAME, Math.max(...widths));
  const remark = (mean: number, peak: number) => `mean ${percent(mean)}, peak ${percent(peak, 0)}`;
  const width = FIGURE_WIDTH - nameWidth - textWidth(remark(0.555, 1), 11) - 40;
  const panel = (one: SampledMachine, last: boolean) => {
    const { machine, times, series } = one;
    const base = (index: number) => (index + 1) * STRIP_STEP;
    const curves = series.flatMap(({ name, values }, index) =>
      // The last value stands a second time, at the end of its sample.
      [...values, values.at(-1)!].map((value, sample) => ({
        series: name,
        time: times[sample]! * axes.scale.factor,
        base: base(index),
        height: base(index) - value * STRIP_STEP * STRIP_SHARE,
      })),
    );
    const strips = series.map(({ name, mean, peak }, index) => ({
      series: name,
      base: base(index),
      full: base(index) - STRIP_STEP * STRIP_SHARE,
      middle: base(index) - (STRIP_STEP * STRIP_SHARE) / 2,
      start: 0,
      end: times.at(-1)! * axes.scale.factor,
      remark: remark(mean, peak),
    }));
    const y = (field: string) =>
      ({
        field,
        type: 'quantitative',
        axis: null,
        scale: { domain: [base(series.length - 1), 0] as number[], nice: false, zero: false },
      }) as const;
    const hasAxis = last || !axes.shared;
    const x = {
      field: 'time',
      type: 'quantitative' as const,
      title: last ? `time, ${axes.scale.unit}` : null,
      scale: { domain: [0, axes.end(one) * axes.scale.factor], nice: false },
      axis: { grid: true, tickCount: 8, labels: hasAxis, ticks: hasAxis, domain: hasAxis },
    };
    const text = { type: 'text' as const, aria: false, baseline: 'middle' as const };
    return {
      title: { text: machine.name, anchor: 'start' as const, frame: 'group' as const, offset: 2 },
      width,
      height: base(series.length - 1),
      layer: [
        {
          data: { values: strips },
          mark: { type: 'rect' as const, color: colours.grid, opacity: 0.45, aria: false },
          encoding: { x: { ...x, field: 'start' }, x2: { field: 'end' }, y: y('full'), y2: { field: 'base' } },
        },
        {
          data: { values: curves },
          mark: { type: 'area' as const, interpolate: 'step-after' as const, color: categories[0]!, aria: false },
          encoding: { x, y: y('height'), y2: { field: 'base' }, detail: { field: 'series' } },
        },
        {
          data: { values: strips },
          mark: { ...text, align: 'right' as const, limit: LONGEST_NAME },
          encoding: { x: { value: -8 }, y: y('middle'), text: { field: 'series' } },
        },
        {
          data: { values: strips },
          mark: { ...text, align: 'left' as const, color: colours.muted },
          encoding: { x: { value: width + 8 }, y: y('middle'), text: { field: 'remark' } },
        },
      ],
    };
  };
  return {
    name: 'utilisation-over-time',
    title: 'Utilisation over time',
    caption:
      'Busy share of each kind of unit and filled share of each buffer as the run goes on; the height of a strip is ' +
      `100\u00a0%.${resolutionNote(sampled)} Mean and peak are those of the recorded samples.${axes.note}`,
    rows: sampleRows(sampled, 'utilisation'),
    spec: { spacing: 18, vconcat: sampled.map((one, index) => panel(one, index === sampled.length - 1)) },
  };
}

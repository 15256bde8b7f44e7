/** Stacked bars, one per machine on one scale, a segment per component, a line for the interval of the total. */
import { colours } from '../palette.js';
import { LABEL_LIMIT, legendColumns, textWidth } from '../vega.js';
import type { ComponentColours } from './components.js';
import { FIGURE_WIDTH, type Figure, type FigureRow } from './types.js';

export interface Segment {
  readonly machine: string;
  readonly component: string;
  /** In the unit of the axis. */
  readonly value: number;
  /** Drawn paler, behind what else the component has. */
  readonly pale?: boolean;
  readonly label: string;
}

export interface Total {
  readonly machine: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly text: string;
}

export interface Breakdown {
  readonly name: string;
  readonly title: string;
  readonly caption: string;
  readonly rows: readonly FigureRow[];
  readonly axis: string;
  readonly segments: readonly Segment[];
  readonly totals: readonly Total[];
  readonly colours: ComponentColours;
}

const BAR_STEP = 46;
const PALE = 0.45;

export function breakdownFigure(breakdown: Breakdown): Figure {
  const { segments, totals } = breakdown;
  const machines = totals.map((total) => total.machine);
  // Room for the total's text to the right of the longest interval.
  const reach = Math.max(...totals.map((total) => Math.max(total.high, total.value))) || 1;
  const widest = Math.max(...totals.map((total) => textWidth(total.text, 11)));
  const names = Math.max(...machines.map((machine) => Math.min(textWidth(machine, 11), LABEL_LIMIT)));
  const plotWidth = FIGURE_WIDTH - names - 60;
  const limit = reach * (1 + (widest + 20) / (plotWidth - widest));
  const groups = breakdown.colours.groups.filter((group) =>
    segments.some((segment) => breakdown.colours.groupOf(segment.component) === group.name),
  );
  const columns = legendColumns(
    groups.map((group) => group.name),
    plotWidth,
  );
  const values = segments.map((segment) => {
    const group = breakdown.colours.groupOf(segment.component);
    return { ...segment, group, order: groups.findIndex((candidate) => candidate.name === group) };
  });
  const y = {
    field: 'machine',
    type: 'nominal',
    title: null,
    sort: machines,
    axis: { domain: false, ticks: false },
  } as const;
  const scale = { domain: [0, limit], nice: false };
  return {
    name: breakdown.name,
    title: breakdown.title,
    caption: breakdown.caption,
    rows: breakdown.rows,
    spec: {
      width: FIGURE_WIDTH,
      height: BAR_STEP * machines.length,
      autosize: { type: 'fit-x', contains: 'padding' },
      layer: [
        {
          data: { values },
          mark: { type: 'bar', stroke: 'white', strokeWidth: 1, height: 24 },
          encoding: {
            x: { field: 'value', type: 'quantitative', title: breakdown.axis, stack: 'zero', scale },
            y,
            order: { field: 'order', type: 'quantitative' },
            color: {
              field: 'group',
              type: 'nominal',
              title: null,
              scale: { domain: groups.map((group) => group.name), range: groups.map((group) => group.colour) },
              legend: { orient: 'bottom', columns, columnPadding: 16 },
            },
            ...(segments.some((segment) => segment.pale)
              ? { fillOpacity: { condition: { test: 'datum.pale', value: PALE }, value: 1 } }
              : {}),
            description: { field: 'label' },
          },
        },
        {
          data: { values: totals.map((total) => ({ ...total })) },
          mark: { type: 'rule', yOffset: 17, strokeWidth: 1.5, aria: false, color: colours.ink },
          encoding: { x: { field: 'low', type: 'quantitative', scale }, x2: { field: 'high' }, y },
        },
        {
          data: { values: totals.flatMap(({ machine, low, high }) => [low, high].map((end) => ({ machine, end }))) },
          mark: { type: 'tick', yOffset: 17, size: 7, thickness: 1.5, aria: false, color: colours.ink },
          encoding: { x: { field: 'end', type: 'quantitative', scale }, y },
        },
        {
          data: { values: totals.map(({ machine, value, text }) => ({ machine, value, text })) },
          mark: { type: 'text', align: 'left', dx: 6, aria: false },
          encoding: { x: { field: 'value', type: 'quantitative', scale }, y, text: { field: 'text' } },
        },
      ],
    },
  };
}

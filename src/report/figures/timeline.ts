/** What the units of a machine did, cycle by cycle, in a part of the workload. */
import type { SimulationResult } from '../../simulator/types.js';
import { count } from '../format.js';
import { textWidth } from '../vega.js';
import { FIGURE_WIDTH, type Figure, slug } from './types.js';

/** More intervals than can be told apart in a drawing of this width. */
const MOST_INTERVALS = 400;
const LANE_HEIGHT = 24;
/** What a timeline shows when its machine does not say. */
const ONE_HEAD = 'one head';
/** Legible on light and dark paper, with white and black text on them. */
const SHADES = ['#2b6cb0', '#8ec1ea'] as const;

/** One figure per machine that has a timeline. A long one is cut where the drawing would become unreadable. */
export function timelineFigures(machines: readonly SimulationResult[]): Figure[] {
  return machines
    .filter((machine) => machine.timeline.some((lane) => lane.busy.length > 0))
    .map((machine, index) => timelineFigure(machine, index));
}

function timelineFigure(machine: SimulationResult, index: number): Figure {
  const all = machine.timeline.flatMap((lane) => lane.busy.map((interval) => ({ lane: lane.lane, ...interval })));
  const end = Math.max(...all.map((interval) => interval.end));
  const starts = all.map((interval) => interval.start).sort((a, b) => a - b);
  const cut = all.length > MOST_INTERVALS ? starts[MOST_INTERVALS]! : end;
  const rows = all
    .filter((interval) => interval.start < cut)
    .map((interval) => ({ lane: interval.lane, label: interval.label, start: interval.start, end: interval.end }));
  const lanes = machine.timeline.map((lane) => lane.lane);
  const labelWidth = Math.max(...lanes.map((lane) => textWidth(lane, 11)));
  const pixelsPerCycle = (FIGURE_WIDTH - labelWidth - 40) / cut;
  const placed = new Map<string, number>();
  const values = rows.map((row) => {
    const position = placed.get(row.lane) ?? 0;
    placed.set(row.lane, position + 1);
    const shownEnd = Math.min(row.end, cut);
    const room = (shownEnd - row.start) * pixelsPerCycle - 4;
    return {
      lane: row.lane,
      start: row.start,
      end: shownEnd,
      middle: (row.start + shownEnd) / 2,
      shade: position % 2,
      text: textWidth(row.label, 9) <= room ? row.label : '',
      label: `${row.lane}: ${row.label}, cycles ${count(row.start)} to ${count(row.end)}`,
    };
  });
  const y = { field: 'lane', type: 'nominal', title: null, sort: lanes, scale: { domain: lanes } } as const;
  const scale = { domain: [0, cut], nice: false };
  return {
    name: `timeline-${index + 1}-${slug(machine.name)}`,
    title: `Timeline of ${machine.timelineOf ?? ONE_HEAD} on ${machine.name}`,
    caption:
      `When each unit of ${machine.name} was busy, ${machine.timelineOf === undefined ? 'in one attention head as an example' : `in ${machine.timelineOf}`}. Two neighbouring pieces of work ` +
      `have different shades; gaps are idle cycles.` +
      (cut < end ? ` The first ${count(cut)} of ${count(end)} cycles are drawn; result.json has all of them.` : ''),
    rows,
    spec: {
      width: FIGURE_WIDTH,
      height: LANE_HEIGHT * lanes.length,
      autosize: { type: 'fit-x', contains: 'padding' },
      data: { values },
      layer: [
        {
          mark: { type: 'bar', height: 17, stroke: 'white', strokeWidth: 0.6 },
          encoding: {
            x: { field: 'start', type: 'quantitative', title: 'cycle', scale, axis: { grid: false, tickCount: 12 } },
            x2: { field: 'end' },
            y,
            color: {
              field: 'shade',
              type: 'nominal',
              scale: { domain: [0, 1], range: [...SHADES] },
              legend: null,
            },
            description: { field: 'label' },
          },
        },
        {
          transform: [{ filter: "datum.text !== ''" }],
          mark: { type: 'text', fontSize: 9, aria: false },
          encoding: {
            x: { field: 'middle', type: 'quantitative', scale },
            y,
            text: { field: 'text' },
            color: { condition: { test: 'datum.shade === 0', value: '#ffffff' }, value: '#0b1a2b' },
          },
        },
      ],
    },
  };
}

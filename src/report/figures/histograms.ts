/** Histograms that machines keep over a workload: above all after how many bits a score's computation stopped. */
import type { SimulationResult } from '../../simulator/types.js';
import { count, percent } from '../format.js';
import { series } from '../palette.js';
import { FIGURE_WIDTH, type Figure, slug, words } from './types.js';

type Bins = SimulationResult['histograms'][string];

interface Wording {
  readonly title: string;
  readonly bins: string;
  readonly caption: string;
}

const KNOWN: Readonly<Record<string, Wording>> = {
  stopBits: {
    title: 'Bits of the key read per score',
    bins: 'bits of the key read when the computation stopped',
    caption:
      'Distribution of the number of key bits that a score needed before it was known to lie below its threshold; ' +
      'scores that are kept, and those decided last, stand at the full width.',
  },
};

/** One figure for each histogram that any machine has; machines with equal histograms share their bars. */
export function histogramFigures(machines: readonly SimulationResult[]): Figure[] {
  const names = [...new Set(machines.flatMap((machine) => Object.keys(machine.histograms)))].sort();
  return names.map((name) => histogramFigure(name, machines)).filter((figure) => figure.rows.length > 0);
}

function histogramFigure(name: string, machines: readonly SimulationResult[]): Figure {
  const byContent = new Map<string, { names: string[]; bins: Bins }>();
  for (const machine of machines) {
    const bins = machine.histograms[name] ?? [];
    if (bins.length === 0) continue;
    const key = JSON.stringify(bins);
    const entry = byContent.get(key) ?? { names: [] as string[], bins };
    entry.names.push(machine.name);
    byContent.set(key, entry);
  }
  const rows = [...byContent.values()].flatMap(({ names, bins }) => {
    const total = bins.reduce((sum, bin) => sum + bin.count, 0);
    return bins.map((bin) => ({
      machine: names.join(', '),
      bin: bin.bin,
      count: bin.count,
      share: total > 0 ? bin.count / total : 0,
    }));
  });
  const groups = [...new Set(rows.map((row) => row.machine))];
  const bins = [...new Set(rows.map((row) => row.bin))].sort((a, b) => a - b);
  const wording: Wording = KNOWN[name] ?? {
    title: `Histogram: ${words(name)}`,
    bins: words(name),
    caption: `Distribution of "${words(name)}" over the whole workload.`,
  };
  const values = rows.map((row) => ({
    ...row,
    text: percent(row.share),
    label: `${row.machine}: ${row.bin}: ${percent(row.share)} (${count(row.count)})`,
  }));
  const x = {
    field: 'bin',
    type: 'ordinal',
    title: wording.bins,
    axis: { labelAngle: 0 },
    scale: { domain: bins },
  } as const;
  const offset = groups.length > 1 ? { xOffset: { field: 'machine', scale: { domain: groups } } } : {};
  // Room for the number above the tallest bar.
  const highest = Math.max(...rows.map((row) => row.share)) * 1.12;
  const y = {
    field: 'share',
    type: 'quantitative' as const,
    title: 'share',
    axis: { format: '.0%' },
    scale: { domain: [0, highest], nice: false },
  };
  // A share above each bar, as long as the bars are wide enough for it.
  const labelled = bins.length * groups.length <= 14;
  return {
    name: slug(words(name)),
    title: wording.title,
    caption: `${wording.caption} Machines: ${groups.join('; ')}.`,
    rows,
    spec: {
      width: FIGURE_WIDTH,
      height: 280,
      autosize: { type: 'fit', contains: 'padding' },
      data: { values },
      layer: [
        {
          mark: { type: 'bar' },
          encoding: {
            x,
            y,
            ...offset,
            color: {
              field: 'machine',
              type: 'nominal',
              title: null,
              scale: { domain: groups, range: groups.map((_, index) => series[index % series.length]!) },
              legend: groups.length > 1 ? { orient: 'top' } : null,
            },
            description: { field: 'label' },
          },
        },
        ...(labelled
          ? [
              {
                mark: { type: 'text', dy: -6, aria: false },
                encoding: { x, y, ...offset, text: { field: 'text' } },
              } as const,
            ]
          : []),
      ],
    },
  };
}

import type { SimulationResult } from '../../simulator/types.js';
import { count } from '../format.js';
import { panelBars } from './bars.js';
import { type Figure, words } from './types.js';

/** From this ratio of the largest to the smallest kind on, a linear scale would hide the small ones. */
const LOGARITHMIC_FROM = 100;

/** What machines waited for, machines below one another; kinds that never occurred stand there as 0. */
export function stallsFigure(machines: readonly SimulationResult[]): Figure | undefined {
  const rows = machines.flatMap((machine) =>
    Object.entries(machine.stalls ?? {}).map(([kind, stalls]) => ({ machine: machine.name, kind, stalls })),
  );
  const occurred = rows.map((row) => row.stalls).filter((stalls) => stalls > 0);
  if (occurred.length === 0) return undefined;
  const most = Math.max(...occurred);
  const logarithmic = most / Math.min(...occurred) >= LOGARITHMIC_FROM;
  const bars = rows.map(({ machine, kind, stalls }) => ({
    machine,
    name: words(kind),
    value: stalls,
    text: count(stalls),
    label: `${machine}, ${words(kind)}: ${count(stalls)}`,
  }));
  const decades = Array.from({ length: Math.floor(Math.log10(most)) + 1 }, (_, power) => 10 ** power);
  return {
    name: 'stalls',
    title: 'Stalls by cause',
    caption:
      `How often something had to wait, by what it waited for, over the whole run; several causes may hold at one ` +
      `time, so they do not add up to cycles.${logarithmic ? ' The scale is logarithmic, and starts at zero.' : ''}`,
    rows,
    spec: panelBars(
      bars,
      { name: 'kind', value: 'stalls' },
      logarithmic
        ? {
            title: 'stalls (logarithmic)',
            scale: { type: 'symlog', constant: 1, domain: [0, most], nice: false },
            ticks: { labelExpr: "format(datum.value, '~s')", values: [0, ...decades] },
          }
        : { title: 'stalls', scale: { domain: [0, most], nice: false }, ticks: { format: '~s', tickCount: 6 } },
    ),
  };
}

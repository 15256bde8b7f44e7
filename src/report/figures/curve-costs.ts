/** What the points of the sparsity curves cost on each machine. */
import type { RunResult } from '../../experiment/result.js';
import { count, energy, energyScale, percent, plain } from '../format.js';
import { ruleColour } from './curves.js';
import { FIGURE_WIDTH, type Figure, sentenceCase } from './types.js';

export function curveCostsFigure(result: Pick<RunResult, 'curves' | 'data'>): Figure | undefined {
  const curves = (result.curves ?? []).filter(({ points }) => points.some(({ costs }) => costs.length > 0));
  const metric = result.data.metric;
  const rows = curves.flatMap(({ rule, parameter: name, points }) =>
    points.flatMap(({ parameter, sparsity, accuracy, costs }) =>
      costs.map(({ machine, cycles, energyPicojoules }) => ({
        machine,
        rule,
        name,
        parameter,
        sparsity,
        accuracy,
        cycles,
        energyPicojoules,
      })),
    ),
  );
  if (rows.length === 0) return undefined;
  const machines = [...new Set(rows.map((row) => row.machine))];
  const color = ruleColour(result.curves ?? []);
  const legend = { ...color.legend, values: curves.map(({ rule }) => rule) };
  const panels = (machine: string) => {
    const own = rows.filter((row) => row.machine === machine);
    const scale = energyScale(Math.max(...own.map((row) => row.energyPicojoules)));
    const values = own.map((row) => ({
      ...row,
      energy: row.energyPicojoules * scale.factor,
      label:
        `${row.rule}, ${row.name} = ${plain(row.parameter)}, on ${machine}: ${metric} ${percent(row.accuracy)}, ` +
        `${percent(row.sparsity)} zeros, ${count(row.cycles)} cycles, ${energy(row.energyPicojoules)}`,
    }));
    const panel = (field: 'cycles' | 'energy', title: string, first: boolean) => {
      const x = {
        field,
        type: 'quantitative' as const,
        title,
        axis: { tickCount: 4, ...(field === 'cycles' ? { format: '.4~s' } : {}) },
        scale: { zero: false, padding: 10 },
      };
      const y = {
        field: 'accuracy',
        type: 'quantitative' as const,
        title: first ? metric : null,
        axis: { format: '.2~%', tickCount: 6 },
        scale: { zero: false, padding: 10 },
      };
      return {
        width: FIGURE_WIDTH / 2 - 75,
        height: 190,
        layer: [
          {
            mark: { type: 'line' as const, aria: false, strokeWidth: 1.3 },
            encoding: {
              x,
              y,
              color: { ...color, legend },
              order: { field: 'parameter', type: 'quantitative' as const },
            },
          },
          {
            mark: { type: 'point' as const, filled: true, opacity: 1, stroke: 'white', strokeWidth: 0.8, size: 45 },
            encoding: { x, y, color: { ...color, legend }, description: { field: 'label' } },
          },
        ],
      };
    };
    return {
      title: { text: machine, anchor: 'start' as const, offset: 6 },
      data: { values },
      spacing: 70,
      bounds: 'flush' as const,
      hconcat: [panel('cycles', 'cycles', true), panel('energy', `energy, ${scale.unit}`, false)],
    };
  };
  return {
    name: 'curve-costs',
    title: `${sentenceCase(metric)} against cycles and energy`,
    caption:
      'Cycles and energy of the points above on each machine: up and left is better. The lines follow the parameter ' +
      'of a rule. The axes do not start at zero.',
    rows,
    spec: { spacing: 24, vconcat: machines.map(panels) },
  };
}

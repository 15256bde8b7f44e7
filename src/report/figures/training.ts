/** Loss and pruning term over the steps of training. */
import type { RunResult, TrainingPoint } from '../../experiment/result.js';
import { series } from '../palette.js';
import { FIGURE_WIDTH, type Figure } from './types.js';

const STAGES = ['warm-up', 'baseline', 'adapted'] as const;
/** More points than a drawing of this width can show. */
const POINTS_PER_STAGE = 250;

/** Every n-th point of a stage, the last one included, so that a drawing stays small; `every` is n. */
export function thinned(points: readonly TrainingPoint[]): { points: TrainingPoint[]; every: number } {
  const every = Math.max(1, ...STAGES.map((stage) => Math.ceil(count(points, stage) / POINTS_PER_STAGE)));
  const kept = STAGES.flatMap((stage) => {
    const own = points.filter((point) => point.stage === stage);
    return own.filter((_, index) => index % every === 0 || index === own.length - 1);
  });
  return { points: kept, every };
}

function count(points: readonly TrainingPoint[], stage: string): number {
  return points.filter((point) => point.stage === stage).length;
}

/** How a caption says that points were left out; empty if none were. */
export function thinningNote(every: number): string {
  return every === 1 ? '' : ` One recorded step in ${every} is drawn; result.json has all of them.`;
}

export function trainingFigure(result: RunResult): Figure | undefined {
  if (result.training.length === 0) return undefined;
  const { points, every } = thinned(result.training);
  const rows = points.map(({ stage, step, loss, penalty }) => ({ stage, step, loss, penalty }));
  const stages = STAGES.filter((stage) => rows.some((row) => row.stage === stage));
  const steps = rows.map((row) => row.step);
  const domain = [Math.min(...steps), Math.max(...steps)];
  const x = (title: string | null) => ({
    field: 'step',
    type: 'quantitative' as const,
    title,
    axis: { grid: false, tickCount: 10 },
    scale: { domain },
  });
  const color = {
    field: 'stage',
    type: 'nominal',
    title: null,
    scale: { domain: stages, range: series.slice(0, stages.length) },
    legend: { orient: 'top', symbolType: 'stroke', symbolStrokeWidth: 2 },
  } as const;
  const panel = (field: 'loss' | 'penalty', title: string, last: boolean) =>
    ({
      width: FIGURE_WIDTH - 90,
      height: field === 'loss' ? 220 : 120,
      mark: { type: 'line', strokeWidth: 1.4, aria: false },
      encoding: {
        x: x(last ? 'training step' : null),
        y: {
          field,
          type: 'quantitative',
          title,
          scale: { zero: field === 'penalty' },
          axis: field === 'penalty' ? { format: '~s', tickCount: 4 } : {},
        },
        color,
      },
    }) as const;
  const hasPenalty = rows.some((row) => row.penalty !== 0);
  return {
    name: 'training',
    title: 'Training loss by step',
    caption:
      `Loss of each training step by stage: warm-up trains the model that both others start from; baseline goes on ` +
      `without the technique, adapted with it, for the same number of steps.` +
      `${hasPenalty ? ' Below, the pruning term before its weight.' : ''} Both are values of single batches.` +
      thinningNote(every),
    rows,
    spec: {
      data: { values: rows },
      vconcat: hasPenalty
        ? [
            panel('loss', 'task loss', false),
            { transform: [{ filter: "datum.stage === 'adapted'" }], ...panel('penalty', 'pruning term', true) },
          ]
        : [panel('loss', 'loss', true)],
    },
  };
}

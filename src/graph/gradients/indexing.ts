import { int, str } from '../types.js';
import type { GradientContext, GradientRule } from './rule.js';

const ADD = { reduction: str('add') } as const;

/**
 * Gather picks slices, maybe the same one often; each pick adds its gradient to its slice.
 */
const gather: GradientRule = (context) => [
  () => {
    const { b, dy, x } = context;
    const [data, indices] = x as [string, string];
    const rank = context.rank(data);
    const axis = (context.int('axis', 0) + rank) % rank;
    if (axis === 0) {
      const rows = b.op('Unsqueeze', [indices, b.ints([-1])]);
      return b.op('ScatterND', [b.zerosLike(data), rows, dy], ADD);
    }
    return scatterAlong(context, axis);
  },
  'zero',
];

/** The general case: indices of any rank k > 0 or a scalar, on an inner axis; dy is [..before, ..indices, ..after]. */
function scatterAlong(context: GradientContext, axis: number): string {
  const { b, dy, x } = context;
  const [data, indices] = x as [string, string];
  const rank = context.rank(data);
  const flatIndices = b.op('Reshape', [indices, b.ints([-1])]);
  const before = [...Array(axis).keys()].map((a) => b.dim(data, a));
  const after = [...Array(rank).keys()].slice(axis + 1).map((a) => b.dim(data, a));
  const shape = b.op('Concat', [...before, b.ints([-1]), ...after], { axis: int(0) });
  const updates = b.op('Reshape', [dy, shape]);
  const column = b.op('Reshape', [flatIndices, b.ints([-1, ...after.map(() => 1)])]);
  const expanded = b.op('Expand', [column, b.op('Shape', [updates])]);
  return b.op('ScatterElements', [b.zerosLike(data), expanded, updates], { axis: int(axis), ...ADD });
}

const gatherElements: GradientRule = (context) => [
  () => {
    const { b, dy, x } = context;
    return b.op('ScatterElements', [b.zerosLike(x[0]!), x[1]!, dy], { axis: int(context.int('axis', 0)), ...ADD });
  },
  'zero',
];

/** The chosen values pass their gradient back to where they came from. */
const topK: GradientRule = (context) => [
  () => {
    const { b, dy, x, node } = context;
    const attributes = { axis: int(context.int('axis', -1)) };
    return b.op('ScatterElements', [b.zerosLike(x[0]!), node.outputs[1]!, dy], attributes);
  },
  'zero',
];

export const indexing = { Gather: gather, GatherElements: gatherElements, TopK: topK } satisfies Record<
  string,
  GradientRule
>;

import { elementwise } from './elementwise.js';
import { indexing } from './indexing.js';
import { products } from './matmul.js';
import { normalizations } from './normalization.js';
import { reductions } from './reduce.js';
import type { GradientEntry } from './rule.js';
import { shapes } from './shape.js';

export const gradientTable = {
  ...elementwise,
  ...products,
  ...reductions,
  ...normalizations,
  ...shapes,
  ...indexing,
} satisfies Record<string, GradientEntry>;

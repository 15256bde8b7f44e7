import type { OperatorName } from '../operators.js';
import { elementwise } from './elementwise.js';
import { indexing } from './indexing.js';
import { products } from './matmul.js';
import { normalizations } from './normalization.js';
import { reductions } from './reduce.js';
import type { GradientEntry } from './rule.js';
import { shapes } from './shape.js';

/** What Tandem knows of every operator's derivative. */
export const gradientTable = {
  ...elementwise,
  ...products,
  ...shapes,
  ...indexing,
  ...reductions,
  ...normalizations,

  // piecewise constant: no gradient passes
  And: 'zero',
  ArgMax: 'zero',
  ArgMin: 'zero',
  Ceil: 'zero',
  DynamicQuantizeLinear: 'zero',
  Equal: 'zero',
  Floor: 'zero',
  Greater: 'zero',
  GreaterOrEqual: 'zero',
  IsInf: 'zero',
  IsNaN: 'zero',
  Less: 'zero',
  LessOrEqual: 'zero',
  MatMulInteger: 'zero',
  NonZero: 'zero',
  Not: 'zero',
  Or: 'zero',
  QuantizeLinear: 'zero',
  Round: 'zero',
  Sign: 'zero',
  Xor: 'zero',

  // read no values, only shapes or nothing
  Constant: 'zero',
  ConstantOfShape: 'zero',
  Range: 'zero',
  Shape: 'zero',
  Size: 'zero',

  AveragePool: 'not-differentiable',
  BatchNormalization: 'not-differentiable',
  Conv: 'not-differentiable',
  DequantizeLinear: 'not-differentiable',
  Einsum: 'not-differentiable',
  GlobalAveragePool: 'not-differentiable',
  MaxPool: 'not-differentiable',
  Mod: 'not-differentiable',
  ReduceProd: 'not-differentiable',
} satisfies Record<OperatorName, GradientEntry>;

/** Seeded random weights. */
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { floatTensor, sizeOf, type Tensor } from '../graph/types.js';

/** Standard deviation of fresh weights (Devlin et al., NAACL 2019: 0.02). */
export const INITIAL_DEVIATION = 0.02;

export const zeros = (shape: readonly number[]): Tensor => floatTensor(new Float32Array(sizeOf(shape)), shape);
export const ones = (shape: readonly number[]): Tensor => floatTensor(new Float32Array(sizeOf(shape)).fill(1), shape);

/** A source of independent normal tensors; the same seed and order of calls give the same values. */
export function normalWeights(seed: number, deviation = INITIAL_DEVIATION): (shape: readonly number[]) => Tensor {
  const random = xoroshiro128plus(seed);
  // Box and Muller, 1958; 1 − u keeps the logarithm's argument above 0.
  const radius = () => Math.sqrt(-2 * Math.log(1 - uniformFloat64(random)));
  return (shape) => {
    const values = new Float32Array(sizeOf(shape));
    for (let i = 0; i < values.length; i += 2) {
      const length = deviation * radius();
      const angle = 2 * Math.PI * uniformFloat64(random);
      values[i] = length * Math.cos(angle);
      if (i + 1 < values.length) values[i + 1] = length * Math.sin(angle);
    }
    return floatTensor(values, shape);
  };
}

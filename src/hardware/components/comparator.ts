import { defineComponent } from '../component.js';
import { combine } from '../cost.js';
import { adder } from './adder.js';

/** Magnitude comparator of two `bits`-wide numbers, built as a subtractor. Action: "compare". */
export const comparator = defineComponent<{ bits: number }>('comparator', ({ bits }, technology) =>
  combine(['compare'], [{ cost: adder.estimate({ bits }, technology), uses: { compare: { add: 1 } } }]),
);

import { defineComponent } from '../component.js';
import { combine } from '../cost.js';
import { adder } from './adder.js';
import { multiplier } from './multiplier.js';
import { register } from './register.js';

/** Multiply-accumulate with its accumulator register. Action: "mac". */
export const mac = defineComponent<{ aBits: number; bBits: number; accumulatorBits: number }>(
  'multiply-accumulate',
  ({ aBits, bBits, accumulatorBits }, technology) =>
    combine(
      ['mac'],
      [
        { cost: multiplier.estimate({ aBits, bBits }, technology), uses: { mac: { multiply: 1 } } },
        { cost: adder.estimate({ bits: accumulatorBits }, technology), uses: { mac: { add: 1 } } },
        { cost: register.estimate({ bits: accumulatorBits }, technology), uses: { mac: { write: 1 } } },
      ],
    ),
);

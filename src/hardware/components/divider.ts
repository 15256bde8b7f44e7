import { defineComponent } from '../component.js';
import { combine } from '../cost.js';
import { adder } from './adder.js';
import { register } from './register.js';

/**
 * Restoring divider that yields one quotient bit per cycle: a subtractor and three registers of `bits` (remainder,
 * divisor, quotient). Action: "divide", all `bits` cycles of it; remainder and quotient are written every cycle.
 */
export const divider = defineComponent<{ bits: number }>('divider', ({ bits }, technology) =>
  combine(
    ['divide'],
    [
      { cost: adder.estimate({ bits }, technology), uses: { divide: { add: bits } } },
      { count: 3, cost: register.estimate({ bits }, technology), uses: { divide: { write: 2 * bits + 1 } } },
    ],
  ),
);

import { estimate, product } from '../certainty.js';
import { defineComponent } from '../component.js';
import { FIFO_READ_PER_WRITE } from '../constants.js';
import { combine, NOTHING } from '../cost.js';
import { adder } from './adder.js';
import { register } from './register.js';

/**
 * Queue of `depth` words of `wordBits` in flip-flops, with a read and a write pointer. Actions: "push" writes one word
 * and moves a pointer; "pop" reads one and moves the other.
 */
export const fifo = defineComponent<{ depth: number; wordBits: number }>('FIFO', ({ depth, wordBits }, technology) => {
  const pointerBits = Math.max(1, Math.ceil(Math.log2(depth)));
  const word = register.estimate({ bits: wordBits }, technology);
  const pointer = register.estimate({ bits: pointerBits }, technology);
  const increment = adder.estimate({ bits: pointerBits }, technology);
  const readPort = {
    energy: { read: product(word.energy.write!, estimate(FIFO_READ_PER_WRITE)) },
    area: NOTHING,
    leakage: NOTHING,
  };
  return combine(
    ['push', 'pop'],
    [
      { count: depth, cost: word, uses: { push: { write: 1 } } },
      { cost: readPort, uses: { pop: { read: 1 } } },
      { count: 2, cost: pointer, uses: { push: { write: 1 }, pop: { write: 1 } } },
      { count: 2, cost: increment, uses: { push: { add: 1 }, pop: { add: 1 } } },
    ],
  );
});

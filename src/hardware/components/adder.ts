import { estimate, product, sum } from '../certainty.js';
import { defineComponent } from '../component.js';
import {
  ADDER_AREA_PER_BIT,
  ADDER_ENERGY_OFFSET,
  ADDER_ENERGY_PER_BIT,
  ADDER_LEAKAGE_PER_AREA,
  ALADDIN,
  HOROWITZ,
} from '../constants.js';
import { logicLeakage } from '../cost.js';
import { areaScale, energyScale } from '../scaling.js';

/** Integer adder or subtractor of two operands of `bits`. Action: "add". Energy and area are linear in the width. */
export const adder = defineComponent<{ bits: number }>('adder', ({ bits }, technology) => {
  const energy = sum(estimate(ADDER_ENERGY_OFFSET), product(estimate(ADDER_ENERGY_PER_BIT), bits));
  const areaAtSource = product(estimate(ADDER_AREA_PER_BIT), bits);
  return {
    energy: { add: product(energy, energyScale(HOROWITZ, technology)) },
    area: product(areaAtSource, areaScale(ALADDIN, technology)),
    leakage: logicLeakage(areaAtSource, estimate(ADDER_LEAKAGE_PER_AREA), ALADDIN, technology),
  };
});

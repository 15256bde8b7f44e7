import { estimate, product } from '../certainty.js';
import { defineComponent } from '../component.js';
import { ALADDIN, REGISTER_AREA_PER_BIT, REGISTER_ENERGY_PER_BIT, REGISTER_LEAKAGE_PER_AREA } from '../constants.js';
import { logicLeakage } from '../cost.js';
import { areaScale, energyScale } from '../scaling.js';

/** `bits` flip-flops. Action: "write", a clock edge with its share of the clock tree; held values are clock-gated. */
export const register = defineComponent<{ bits: number }>('register', ({ bits }, technology) => {
  const areaAtSource = product(estimate(REGISTER_AREA_PER_BIT), bits);
  return {
    energy: { write: product(estimate(REGISTER_ENERGY_PER_BIT), bits, energyScale(ALADDIN, technology)) },
    area: product(areaAtSource, areaScale(ALADDIN, technology)),
    leakage: logicLeakage(areaAtSource, estimate(REGISTER_LEAKAGE_PER_AREA), ALADDIN, technology),
  };
});

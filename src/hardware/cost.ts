/** Turns estimates into the cost of a component, and adds costs of parts up to the cost of a whole. */
import { distinct, type Estimate, exactly, product, sum, widest } from './certainty.js';
import { type Corner, leakageScale } from './scaling.js';
import type { ComponentCost, Technology } from './types.js';

export interface CostEstimate {
  /** Energy of each action, in pJ. */
  readonly energy: Readonly<Record<string, Estimate>>;
  /** µm² */
  readonly area: Estimate;
  /** mW */
  readonly leakage: Estimate;
}

/**
 * The interval covers every energy and the area. Leakage stays out of it: it is the least certain figure of all and
 * gets its own, wider interval where it is summed (compose.ts).
 */
export function toCost({ energy, area, leakage }: CostEstimate): ComponentCost {
  const energies = Object.values(energy);
  return {
    energyPicojoules: Object.fromEntries(Object.entries(energy).map(([action, one]) => [action, one.value])),
    areaSquareMicrometres: area.value,
    leakageMilliwatts: leakage.value,
    constants: distinct([...energies, area, leakage].flatMap((one) => one.constants)),
    interval: widest([...energies, area].map((one) => one.interval)),
  };
}

/** Leakage in mW of a logic block: its area at the source's corner × a leakage density there, moved to the technology. */
export function logicLeakage(
  areaAtSource: Estimate,
  density: Estimate,
  source: Corner,
  technology: Technology,
): Estimate {
  return product(areaAtSource, density, leakageScale(source, technology));
}

export const NOTHING: Estimate = exactly(0);

/** A part of a component: how many, and which of its actions happen (how often) at each action of the whole. */
export interface Part {
  readonly count?: number;
  readonly cost: CostEstimate;
  readonly uses: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** The cost of a component made of parts. `uses` names, per action of the whole, the part's actions and their number over all its instances. */
export function combine(actions: readonly string[], parts: readonly Part[]): CostEstimate {
  const energyOf = (action: string) =>
    sum(
      ...parts.flatMap(({ cost, uses }) =>
        Object.entries(uses[action] ?? {}).map(([name, times]) => product(cost.energy[name] ?? NOTHING, times)),
      ),
    );
  return {
    energy: Object.fromEntries(actions.map((action) => [action, energyOf(action)])),
    area: sum(...parts.map(({ count = 1, cost }) => product(cost.area, count))),
    leakage: sum(...parts.map(({ count = 1, cost }) => product(cost.leakage, count))),
  };
}

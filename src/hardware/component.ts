/** The one form that every component has: parameters and a technology in, cost out. */
import { TandemError } from '../errors.js';
import { type CostEstimate, toCost } from './cost.js';
import type { ComponentCost, Technology } from './types.js';

export interface Component<Parameters extends object> {
  readonly name: string;
  /** Cost with its provenance still attached to each number, for components built from this one. */
  estimate(parameters: Parameters, technology: Technology): CostEstimate;
  /** @throws TANDEM_CONFIG_INVALID when a parameter is not a positive number, or the technology cannot be scaled to. */
  cost(parameters: Parameters, technology: Technology): ComponentCost;
}

export function defineComponent<Parameters extends object>(
  name: string,
  estimateOf: (parameters: Parameters, technology: Technology) => CostEstimate,
): Component<Parameters> {
  const estimate = (parameters: Parameters, technology: Technology) => {
    for (const [key, value] of Object.entries(parameters)) {
      if (typeof value === 'number' && !(value > 0 && Number.isFinite(value))) {
        throw new TandemError('TANDEM_CONFIG_INVALID', `A ${name} cannot have ${key} = ${value}.`, {
          place: `${name}.${key}`,
          remedy: 'Use a positive number.',
        });
      }
    }
    return estimateOf(parameters, technology);
  };
  return {
    name,
    estimate,
    cost: (parameters, technology) => toCost(estimate(parameters, technology)),
  };
}

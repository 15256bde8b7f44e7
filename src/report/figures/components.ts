/** One colour per component across the energy and area figures; small components share the grey. */
import type { SimulationResult } from '../../simulator/types.js';
import { categories, colours } from '../palette.js';

export interface ComponentColours {
  /** In drawing order: largest first, the rest last. */
  readonly groups: readonly { readonly name: string; readonly colour: string }[];
  readonly groupOf: (component: string) => string;
}

/** Components ranked by the largest share of energy or area that they have in any machine. */
export function componentColours(machines: readonly SimulationResult[]): ComponentColours {
  const weight = new Map<string, number>();
  const note = (component: string, share: number) =>
    weight.set(component, Math.max(weight.get(component) ?? 0, Number.isFinite(share) ? share : 0));
  for (const machine of machines) {
    for (const part of machine.energy) {
      note(part.component, (part.dynamicPicojoules + part.leakagePicojoules) / machine.energyPicojoules);
    }
    for (const part of machine.area) note(part.component, part.squareMicrometres / machine.areaSquareMicrometres);
  }
  const ranked = [...weight.keys()].sort((a, b) => weight.get(b)! - weight.get(a)! || (a < b ? -1 : 1));
  const own = ranked.slice(0, ranked.length <= categories.length ? ranked.length : categories.length - 1);
  const rest = ranked.length - own.length;
  const restName = `${rest} smaller components`;
  const groups = own.map((name, index) => ({ name, colour: categories[index]! }));
  return {
    groups: rest > 0 ? [...groups, { name: restName, colour: colours.rest }] : groups,
    groupOf: (component) => (own.includes(component) ? component : restName),
  };
}

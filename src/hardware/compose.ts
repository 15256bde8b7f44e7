/** A machine as a list of component instances: sums their area, leakage and energy, and checks the sums. */
import { TandemError } from '../errors.js';
import { certaintyInterval, distinct, type Interval, weighted } from './certainty.js';
import type { AreaShare, ComponentCost, ComponentInstance, Constant, EnergyShare, Technology } from './types.js';

/** How often each action of each instance kind happened, over all its instances: actions[component][action]. */
export type ActionCounts = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** Both sides of a law that was checked. */
export interface CheckedSum {
  readonly law: string;
  readonly left: number;
  readonly right: number;
}

export interface EnergyBill {
  readonly picojoules: number;
  readonly interval: Interval;
  readonly shares: readonly EnergyShare[];
  readonly checks: readonly CheckedSum[];
}

export interface AreaBill {
  readonly squareMicrometres: number;
  readonly interval: Interval;
  readonly shares: readonly AreaShare[];
  readonly checks: readonly CheckedSum[];
}

/** Leakage depends on temperature and threshold flavour more than on anything we know: it is as sure as an assumption. */
const LEAKAGE_INTERVAL = certaintyInterval('assumed');
/** One milliwatt for one second is a millijoule. */
const PICOJOULES_PER_MILLIJOULE = 1e9;
const TOLERANCE = 1e-9;

const scaled = (value: number, [low, high]: Interval): readonly [number, number] => [value * low, value * high];

export class Composition {
  readonly #instances = new Map<string, ComponentInstance>();
  /** Components that leak only while they do an action that takes a cycle, by that action. */
  readonly #gated = new Map<string, string>();

  constructor(readonly technology: Technology) {}

  /** Adds `count` instances of a component in one role. @throws TANDEM_INTERNAL when the role exists or the count is not a natural number. */
  add(name: string, cost: ComponentCost, count = 1): this {
    if (this.#instances.has(name)) throw new TandemError('TANDEM_INTERNAL', `The component "${name}" is listed twice.`);
    if (!Number.isInteger(count) || count < 0) {
      throw new TandemError('TANDEM_INTERNAL', `There cannot be ${count} of the component "${name}".`);
    }
    this.#instances.set(name, { name, count, cost });
    return this;
  }

  /** Switches instances off while they do not do `action`, each of which takes one of them a cycle. */
  gate(name: string, action: string): this {
    this.energyOf(name, action);
    this.#gated.set(name, action);
    return this;
  }

  get instances(): readonly ComponentInstance[] {
    return [...this.#instances.values()];
  }

  /** All constants of all components, without repetition. */
  get constants(): readonly Constant[] {
    return distinct(this.instances.flatMap(({ cost }) => cost.constants));
  }

  get areaSquareMicrometres(): number {
    return this.instances.reduce((total, { count, cost }) => total + count * cost.areaSquareMicrometres, 0);
  }

  /** Of everything that is never switched off. */
  get leakageMilliwatts(): number {
    const always = this.instances.filter(({ name }) => !this.#gated.has(name));
    return always.reduce((total, { count, cost }) => total + count * cost.leakageMilliwatts, 0);
  }

  /** What one action of a component that is switched off otherwise adds in leakage, pJ; 0 for all other actions. */
  leakageOf(component: string, action: string): number {
    if (this.#gated.get(component) !== action) return 0;
    const { leakageMilliwatts } = this.#instance(component).cost;
    return (leakageMilliwatts / this.technology.clockHertz) * PICOJOULES_PER_MILLIJOULE;
  }

  /** Energy in pJ of one action of one instance. @throws TANDEM_INTERNAL when there is no such component or action. */
  energyOf(component: string, action: string): number {
    const energy = this.#instance(component).cost.energyPicojoules[action];
    if (energy === undefined) {
      throw new TandemError('TANDEM_INTERNAL', `The component "${component}" has no action "${action}".`);
    }
    return energy;
  }

  area(): AreaBill {
    const shares = this.instances.map(({ name, count, cost }) => {
      const squareMicrometres = count * cost.areaSquareMicrometres;
      return { component: name, count, squareMicrometres, interval: scaled(squareMicrometres, cost.interval) };
    });
    const squareMicrometres = this.areaSquareMicrometres;
    const sumOfShares = shares.reduce((total, share) => total + share.squareMicrometres, 0);
    return {
      squareMicrometres,
      interval: scaled(
        squareMicrometres,
        weighted(
          this.instances.map(({ count, cost }) => ({
            value: count * cost.areaSquareMicrometres,
            interval: cost.interval,
          })),
        ),
      ),
      shares,
      checks: [check('component areas sum to the total', sumOfShares, squareMicrometres)],
    };
  }

  /**
   * The energy of a run: each action at its component's price, plus leakage of everything for all of `cycles`, of gated
   * components for the cycles in which they work.
   * @throws TANDEM_INTERNAL for an unknown component or action, or a negative number of them;
   *         TANDEM_CONSERVATION when the shares do not add up to the total.
   */
  energy(actions: ActionCounts, cycles: number): EnergyBill {
    const seconds = cycles / this.technology.clockHertz;
    const shares = this.instances.map(({ name, count, cost }): EnergyShare => {
      const dynamicPicojoules = Object.entries(actions[name] ?? {}).reduce(
        (total, [action, times]) => total + this.#priced(name, action, times),
        0,
      );
      const gate = this.#gated.get(name);
      const leakagePicojoules =
        gate === undefined
          ? count * cost.leakageMilliwatts * seconds * PICOJOULES_PER_MILLIJOULE
          : (actions[name]?.[gate] ?? 0) * this.leakageOf(name, gate);
      const terms = [
        { value: dynamicPicojoules, interval: cost.interval },
        { value: leakagePicojoules, interval: LEAKAGE_INTERVAL },
      ];
      return {
        component: name,
        dynamicPicojoules,
        leakagePicojoules,
        interval: scaled(dynamicPicojoules + leakagePicojoules, weighted(terms)),
      };
    });
    let dynamic = 0;
    let gatedLeakage = 0;
    for (const [name, counts] of Object.entries(actions)) {
      for (const [action, times] of Object.entries(counts)) {
        dynamic += this.#priced(name, action, times);
        gatedLeakage += times * this.leakageOf(name, action);
      }
    }
    const leakage = this.leakageMilliwatts * seconds * PICOJOULES_PER_MILLIJOULE + gatedLeakage;
    const picojoules = dynamic + leakage;
    const ends = (side: 0 | 1) => shares.reduce((total, share) => total + share.interval[side], 0);
    const sumOfShares = shares.reduce((total, share) => total + share.dynamicPicojoules + share.leakagePicojoules, 0);
    return {
      picojoules,
      interval: [ends(0), ends(1)],
      shares,
      checks: [check('component energies sum to the total', sumOfShares, picojoules)],
    };
  }

  #instance(name: string): ComponentInstance {
    const instance = this.#instances.get(name);
    if (!instance) throw new TandemError('TANDEM_INTERNAL', `There is no component "${name}".`);
    return instance;
  }

  #priced(name: string, action: string, times: number): number {
    if (!(times >= 0)) throw new TandemError('TANDEM_INTERNAL', `"${name}" cannot do "${action}" ${times} times.`);
    return times * this.energyOf(name, action);
  }
}

function check(law: string, left: number, right: number): CheckedSum {
  if (Math.abs(left - right) > TOLERANCE * Math.max(1, Math.abs(left), Math.abs(right))) {
    throw new TandemError('TANDEM_CONSERVATION', `Broken law: ${law} (${left} against ${right}).`);
  }
  return { law, left, right };
}

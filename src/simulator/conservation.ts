/** Laws that every simulation checks on itself. A broken one is a defect, thrown at once; kept ones are evidence. */
import { TandemError } from '../errors.js';
import type { ConservationCheck } from './types.js';

/** Sums of floating-point energies in different orders agree to this. */
const RELATIVE_TOLERANCE = 1e-9;

export class ConservationLaws {
  readonly #checks: ConservationCheck[] = [];

  constructor(readonly machine: string) {}

  get checks(): readonly ConservationCheck[] {
    return this.#checks;
  }

  /** Counts: exactly equal. */
  equal(law: string, left: number, right: number): void {
    this.#record(law, left, right, left === right, '=');
  }

  /** Sums of energies: equal up to rounding. */
  close(law: string, left: number, right: number): void {
    const difference = Math.abs(left - right);
    const scale = Math.max(Math.abs(left), Math.abs(right));
    this.#record(law, left, right, difference <= RELATIVE_TOLERANCE * scale, '=');
  }

  atMost(law: string, left: number, right: number): void {
    this.#record(law, left, right, left <= right, '≤');
  }

  #record(law: string, left: number, right: number, holds: boolean, relation: string): void {
    if (!holds) {
      throw new TandemError('TANDEM_CONSERVATION', `${law}: ${left} ${relation} ${right} does not hold.`, {
        place: `machine ${this.machine}`,
        remedy: 'Please report this with the experiment file: it is a defect of the simulator.',
      });
    }
    this.#checks.push({ law, left, right });
  }
}

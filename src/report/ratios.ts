/** Machines against the reference machine: time, energy and area. */
import type { MachineOutcome } from '../experiment/result.js';
import type { Infeasible, SimulationResult } from '../simulator/types.js';

/** The machine that all others are compared with: the first one listed that can run the workload. */
export function referenceMachine<T extends SimulationResult>(machines: readonly (T | Infeasible)[]): T | undefined {
  return machines.find((machine): machine is T => machine.feasible);
}

export function feasible(machines: readonly (MachineOutcome | SimulationResult | Infeasible)[]): SimulationResult[] {
  return machines.filter((machine): machine is SimulationResult => machine.feasible);
}

/** Seconds that the workload takes at the machine's clock. */
export function seconds(machine: Pick<SimulationResult, 'cycles' | 'clockHertz'>): number {
  return machine.cycles / machine.clockHertz;
}

/**
 * Adds to each feasible machine its ratios to the reference machine. `speedup` and `energyRatio` are reference over
 * machine (above 1: better than the reference); `areaRatio` is machine over reference (above 1: larger).
 */
export function withRatios(machines: readonly (SimulationResult | Infeasible)[]): MachineOutcome[] {
  const reference = referenceMachine(machines);
  return machines.map((machine) => {
    if (!machine.feasible) return machine;
    const first = reference ?? machine;
    return {
      ...machine,
      speedup: seconds(first) / seconds(machine),
      energyRatio: first.energyPicojoules / machine.energyPicojoules,
      areaRatio: machine.areaSquareMicrometres / first.areaSquareMicrometres,
    };
  });
}

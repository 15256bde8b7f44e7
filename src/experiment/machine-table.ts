/** machines.csv of a run folder. */
import { csv } from '../report/tables.js';
import type { MachineOutcome } from './result.js';

export function machineTable(machines: readonly MachineOutcome[]): string {
  return csv(
    machines.map((machine) =>
      machine.feasible
        ? {
            name: machine.name,
            cycles: machine.cycles,
            energyPicojoules: machine.energyPicojoules,
            areaSquareMicrometres: machine.areaSquareMicrometres,
            speedup: machine.speedup,
            energyRatio: machine.energyRatio,
          }
        : {
            name: machine.name,
            infeasible: `${machine.resource}: ${machine.demand} > ${machine.bound} ${machine.unit}`,
          },
    ),
  );
}

/** The last stage of every run: its report, its table of machines, its result. */
import { csv } from '../report/tables.js';
import type { RunContext } from './api.js';
import { writable } from './file-errors.js';
import type { MachineOutcome } from './result.js';
import { RESULT_FILE, type RunFolder } from './run-folder.js';

/** @param writePage writes report.html and the figures into the folder */
export async function reportStage(
  result: { readonly machines: readonly MachineOutcome[] },
  writePage: () => Promise<unknown>,
  folder: RunFolder,
  context: RunContext,
): Promise<void> {
  const task = context.progress.task('writing the report');
  await folder.stage('report', async (stage) => {
    await writable(folder.path, writePage);
    await stage.keep('report.html');
    await stage.write('machines.csv', machineTable(result.machines));
    await stage.write(RESULT_FILE, `${JSON.stringify(result, null, 2)}\n`);
    return null;
  });
  await folder.finish();
  task.end();
}

function machineTable(machines: readonly MachineOutcome[]): string {
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

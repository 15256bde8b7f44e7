import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { TandemError } from '../../errors.js';
import { writable } from '../../experiment/file-errors.js';
import {
  accelTranRequest,
  type MachineRequest,
  madeEqualToFirst,
  type ResolvedMachine,
  resolveMachine,
  scaleSimRequest,
  uniquelyNamed,
} from '../../experiment/machines.js';
import { pairOptions, simulatePairs } from '../../experiment/pairs.js';
import type { MachineOutcome } from '../../experiment/result.js';
import { holdsRun } from '../../experiment/run-state.js';
import {
  gemmSource,
  requestSource,
  simulateMachines,
  traceSource,
  transformerSource,
  type WorkloadSource,
} from '../../experiment/simulate.js';
import { readTransformer } from '../../experiment/transformers.js';
import { writeWhole } from '../../experiment/whole-file.js';
import { writeRendered } from '../../report/files.js';
import { renderSimulation } from '../../report/report.js';
import type { TableFormat } from '../../report/tables.js';
import type { Path } from '../../settings/schema-walk.js';
import { EQUALITIES, type Equality } from '../../simulator/equal.js';
import type { CliContext } from '../context.js';
import { collect, formatOption, outOption, setOption } from '../options.js';
import { infeasibilities, simulationText } from '../results.js';

const SIMULATION_FILE = 'simulation.json';

interface Options {
  readonly machine?: string;
  readonly preset: readonly string[];
  readonly config?: string;
  readonly set: readonly string[];
  readonly trace?: string;
  readonly gemms?: string;
  readonly topology?: string;
  readonly model?: string;
  readonly requests?: string;
  readonly pairs?: string;
  readonly equal?: Equality;
  readonly fidelity?: 'cycle' | 'fast';
  readonly out?: string;
  readonly format: TableFormat;
}

export function simulateCommand(context: CliContext): Command {
  return new Command('simulate')
    .description(
      'Play a trace, a list of matrix products, a transformer or requests to memory on one machine or several, and compare them.',
    )
    .addOption(new Option('--machine <name>', 'machine, with its defaults; see `tandem list machines`'))
    .addOption(
      new Option('--preset <name>', 'preset, or a .yaml file like one; repeat to compare with the first')
        .argParser(collect)
        .default([], 'none'),
    )
    .addOption(
      new Option(
        '--config <file>',
        'SCALE-Sim architecture file (.cfg), for the machine systolic, or AccelTran configuration (.yaml), for elector',
      ).conflicts('preset'),
    )
    .addOption(setOption())
    .addOption(new Option('--trace <file>', 'trace to play'))
    .addOption(
      new Option('--gemms <file.csv>', 'matrix products to play: Layer, M, N, K').conflicts(['trace', 'topology']),
    )
    .addOption(
      new Option('--topology <file.csv>', 'SCALE-Sim topology (convolutions or matrix products) to play').conflicts([
        'trace',
        'gemms',
      ]),
    )
    .addOption(
      new Option(
        '--model <model>',
        'transformer to play by its shape: flexibert:bert-tiny (or another name), flexibert:[37 numbers], or an AccelTran model dictionary (.json)',
      ).conflicts(['trace', 'gemms', 'topology']),
    )
    .addOption(
      new Option(
        '--requests <file>',
        'requests to memory to play on the machine dram, one a line as DRAMsim3 reads them: 0xADDRESS READ|WRITE CYCLE',
      ).conflicts(['trace', 'gemms', 'topology', 'model']),
    )
    .addOption(
      new Option(
        '--pairs <file.jsonl>',
        'pairs to simulate on the machine elector, one a line: {"accelerator": [12 numbers], "transformer": [37 numbers]}; prints one line of JSON for each',
      ).conflicts(['trace', 'gemms', 'topology', 'model', 'requests', 'preset', 'config', 'out']),
    )
    .addOption(
      new Option('--equal <size>', 'resize all machines to the area, or the multipliers, of the first one').choices(
        EQUALITIES,
      ),
    )
    .addOption(
      new Option('--fidelity <fidelity>', 'cycle: play every value; fast: closed form').choices(['cycle', 'fast']),
    )
    .addOption(outOption('also write simulation.json, report.html and figures there'))
    .addOption(formatOption())
    .action(async (options: Options, command: Command) => {
      if (options.pairs !== undefined) {
        const format = command.getOptionValueSource('format') === 'default' ? 'json' : options.format;
        return simulateAll(context, options.pairs, { ...options, format });
      }
      if (options.out !== undefined) await refuseRun(options.out);
      const source = await workload(options);
      const asNamed = uniquelyNamed(requestedMachines(options));
      const machines = options.equal ? madeEqualToFirst(asNamed, options.equal) : asNamed;
      const run = { progress: context.progress, signal: context.signal };
      const outcomes = await simulateMachines(machines, source, run, options.fidelity);
      context.progress.stop();
      if (options.out !== undefined) await writeEvidence(options.out, outcomes);
      context.stdout.write(simulationText(outcomes, source.kind, options.format));
      context.report(infeasibilities(outcomes), options.format);
    });
}

/** Prints each pair's result as soon as it is there. */
async function simulateAll(context: CliContext, pairs: string, options: Options): Promise<void> {
  const { machine = 'elector', format, fidelity, set } = options;
  if (machine !== 'elector' || format !== 'json' || fidelity !== undefined) {
    const place =
      machine !== 'elector' ? `--machine ${machine}` : format !== 'json' ? `--format ${format}` : '--fidelity';
    throw new TandemError('TANDEM_USAGE', 'Pairs are simulated on elector, and printed as JSON.', {
      place,
      remedy: 'Leave it out; --set mode=published-fast chooses how pairs are simulated, fast is the default.',
    });
  }
  const run = { progress: context.progress, signal: context.signal };
  for await (const result of simulatePairs(pairs, pairOptions(set), run)) {
    context.stdout.write(`${JSON.stringify(result)}\n`);
  }
  context.progress.stop();
}

async function workload({ trace, gemms, topology, model, requests }: Options): Promise<WorkloadSource> {
  if (trace !== undefined) return traceSource(trace);
  if (model !== undefined) return transformerSource(readTransformer(model, `--model ${model}`));
  if (requests !== undefined) return requestSource(requests);
  const layers = gemms ?? topology;
  if (layers !== undefined) return gemmSource(layers);
  throw new TandemError('TANDEM_USAGE', 'There is nothing to simulate.', {
    remedy:
      'Give a workload: --trace run.trace, --gemms layers.csv, --topology network.csv, --model flexibert:bert-tiny or --requests requests.txt.',
  });
}

/** What to simulate comes from presets, from a file of another simulator, or from a machine's default preset. */
function requestedMachines({ machine, preset, config, set: settings }: Options): ResolvedMachine[] {
  if (preset.length > 0) return preset.map((name) => resolve({ machine, preset: name, settings }));
  if (config !== undefined) return [resolve({ ...configured(config, machine), settings }, `--config ${config}`)];
  if (machine !== undefined) return [resolve({ machine, settings })];
  throw new TandemError('TANDEM_USAGE', 'There is no machine to simulate.', {
    remedy: 'Give --machine or --preset; `tandem list machines` and `tandem list presets` name them.',
  });
}

/** The file's ending says which simulator's it is. */
function configured(file: string, machine: string | undefined): MachineRequest {
  const [described, program] = /\.ya?ml$/i.test(file) ? ['elector', 'AccelTran'] : ['systolic', 'SCALE-Sim'];
  if (machine !== undefined && machine !== described) {
    throw new TandemError(
      'TANDEM_USAGE',
      `A file of ${program} describes the machine ${described}, not "${machine}".`,
      {
        place: `--config ${file}`,
        remedy: `Use --machine ${described}.`,
      },
    );
  }
  return described === 'elector' ? accelTranRequest(file) : scaleSimRequest(file);
}

/** @param file where the request was written, when not on the command line */
function resolve(request: MachineRequest, file?: string): ResolvedMachine {
  const place = (path: Path) => file ?? `--${path[0]} ${path[0] === 'preset' ? request.preset : request.machine}`;
  return resolveMachine(request, { place, keyPlace: place }, [], process.cwd());
}

/** A run's report and figures are part of what it measured. @throws TANDEM_RUN_EXISTS */
async function refuseRun(folder: string): Promise<void> {
  if (!(await holdsRun(folder))) return;
  throw new TandemError('TANDEM_RUN_EXISTS', `"${folder}" holds a run, whose report this would replace.`, {
    place: `--out ${folder}`,
    remedy: 'Choose another folder with --out.',
  });
}

async function writeEvidence(folder: string, outcomes: readonly MachineOutcome[]): Promise<void> {
  // Figures of an earlier simulation's machines would stay among those of this one.
  if (existsSync(join(folder, SIMULATION_FILE))) await rm(join(folder, 'figures'), { recursive: true, force: true });
  await writable(folder, async () => writeRendered(folder, await renderSimulation(outcomes)));
  await writeWhole(join(folder, SIMULATION_FILE), `${JSON.stringify(outcomes, null, 2)}\n`);
}

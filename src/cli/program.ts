/** The command line as commander knows it: commands, options and help, declared once. */
import { Command } from 'commander';
import { tandemVersion } from '../version.js';
import { doctorCommand } from './commands/doctor.js';
import { evaluateCommand } from './commands/evaluate.js';
import { exportCommand } from './commands/export.js';
import { generateCommand } from './commands/generate.js';
import { listCommand } from './commands/list.js';
import { runCommand } from './commands/run.js';
import { schemaCommand } from './commands/schema.js';
import { simulateCommand } from './commands/simulate.js';
import { thresholdCommand } from './commands/threshold.js';
import { traceCommand } from './commands/trace.js';
import { trainCommand } from './commands/train.js';
import type { CliContext } from './context.js';

export const EXIT_CODES: readonly (readonly [number, string])[] = [
  [0, 'done'],
  [1, 'failed, also on a file whose contents are damaged or make no sense'],
  [2, 'the command line or a configuration is wrong, or a file that was named does not exist'],
  [3, 'done, but a machine cannot run the workload'],
  [130, 'interrupted (Ctrl-C); an interrupted run can be resumed'],
];

export function createProgram(context: CliContext): Command {
  const program = new Command('tandem')
    .description('Co-design transformers and the accelerators that run them.')
    .version(tandemVersion, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand(false)
    .addHelpText(
      'after',
      `\nExit codes:\n${EXIT_CODES.map(([code, text]) => `  ${String(code).padEnd(4)} ${text}`).join('\n')}`,
    );
  for (const make of [
    runCommand,
    trainCommand,
    evaluateCommand,
    simulateCommand,
    generateCommand,
    exportCommand,
    thresholdCommand,
    traceCommand,
    listCommand,
    schemaCommand,
    doctorCommand,
  ]) {
    program.addCommand(make(context));
  }
  for (const command of commandsBelow(program)) {
    command
      .exitOverride()
      .helpOption('-h, --help', 'print help')
      .configureOutput({
        writeOut: (text) => context.stdout.write(text),
        writeErr: (text) => context.stderr.write(text),
        // Errors are printed in one place, with their code.
        outputError: () => undefined,
      });
  }
  return program;
}

/** A command and all below it. */
export function commandsBelow(command: Command): Command[] {
  return [command, ...command.commands.flatMap(commandsBelow)];
}

import { Command } from 'commander';
import { examine, type Finding } from '../../experiment/doctor.js';
import { type Column, formatTable, type TableFormat } from '../../report/tables.js';
import type { CliContext } from '../context.js';
import { formatOption } from '../options.js';

const columns: readonly Column<Finding>[] = [
  { key: 'check', header: 'check', value: ({ check }) => check },
  { key: 'status', header: 'status', value: ({ status }) => status },
  { key: 'found', header: 'found', value: ({ found }) => found },
  { key: 'remedy', header: 'remedy', value: ({ remedy }) => remedy },
];

export function doctorCommand(context: CliContext): Command {
  return new Command('doctor')
    .description('Check whether Tandem can work here, and say what to do where it cannot.')
    .addOption(formatOption())
    .action(async ({ format }: { format: TableFormat }) => {
      const findings = await examine(process.cwd());
      context.stdout.write(format === 'table' ? lines(findings) : formatTable(findings, columns, format));
      if (findings.some(({ status }) => status === 'fail')) context.exitCode = 1;
    });
}

/** One line a check: remedies are too long for a column. */
function lines(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  return findings
    .map(({ check, status, found, remedy }) =>
      [`${status.padEnd(4)}  ${check.padEnd(width)}  ${found}`, remedy && `${' '.repeat(width + 8)}${remedy}`]
        .filter(Boolean)
        .join('\n'),
    )
    .join('\n')
    .concat('\n');
}

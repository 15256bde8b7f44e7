import { Argument, Command } from 'commander';
import { type CatalogueEntry, type CatalogueKind, catalogue } from '../../experiment/catalogue.js';
import { type Column, formatTable, type TableFormat } from '../../report/tables.js';
import type { CliContext } from '../context.js';
import { formatOption } from '../options.js';

export function listCommand(context: CliContext): Command {
  return new Command('list')
    .description('List what experiment files can name.')
    .addArgument(new Argument('<kind>', 'what to list').choices(Object.keys(catalogue)))
    .addOption(formatOption())
    .action((kind: CatalogueKind, { format }: { format: TableFormat }) => {
      const columns: Column<CatalogueEntry>[] = [
        { key: 'name', header: 'name', value: ({ name }) => name },
        ...(kind === 'presets'
          ? [{ key: 'machine', header: 'machine', value: ({ machine }: CatalogueEntry) => machine }]
          : []),
        { key: 'description', header: 'description', value: ({ description }) => description },
      ];
      context.stdout.write(formatTable(catalogue[kind](), columns, format));
    });
}

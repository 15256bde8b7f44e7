import { Command } from 'commander';
import { experimentJsonSchema, machineJsonSchema } from '../../experiment/json-schema.js';
import type { CliContext } from '../context.js';

export function schemaCommand(context: CliContext): Command {
  return new Command('schema')
    .description('Print the JSON Schema of experiment files, or of a machine’s configuration, for editors.')
    .argument('[machine]', 'name of a machine; without it, the schema of experiment files')
    .action((machine: string | undefined) => {
      const schema = machine === undefined ? experimentJsonSchema() : machineJsonSchema(machine);
      context.stdout.write(`${JSON.stringify(schema, null, 2)}\n`);
    });
}

import { Command } from 'commander';
import {
  decoderWidthsJsonSchema,
  decodingJsonSchema,
  experimentJsonSchema,
  machineJsonSchema,
} from '../../experiment/json-schema.js';
import type { CliContext } from '../context.js';

export function schemaCommand(context: CliContext): Command {
  return new Command('schema')
    .description('Print the JSON Schema of experiment files, or of a machine’s configuration, for editors.')
    .argument(
      '[what]',
      'name of a machine, "decoding" for experiments on a decoder, or "decoder-widths" for those on its tokens’ widths; without it, experiments on a classifier',
    )
    .action((what: string | undefined) => {
      const schema = what === undefined ? experimentJsonSchema() : otherSchema(what);
      context.stdout.write(`${JSON.stringify(schema, null, 2)}\n`);
    });
}

function otherSchema(what: string) {
  if (what === 'decoding') return decodingJsonSchema();
  return what === 'decoder-widths' ? decoderWidthsJsonSchema() : machineJsonSchema(what);
}

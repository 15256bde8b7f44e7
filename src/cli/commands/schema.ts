import { Command } from 'commander';
import { TandemError } from '../../errors.js';
import {
  decoderWidthsJsonSchema,
  decodingJsonSchema,
  experimentJsonSchema,
  machineJsonSchema,
} from '../../experiment/json-schema.js';
import { nearest } from '../../settings/schema-walk.js';
import { machines } from '../../simulator/registry.js';
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
  if (what === 'decoder-widths') return decoderWidthsJsonSchema();
  if (machines.names().includes(what)) return machineJsonSchema(what);
  const known = ['decoding', 'decoder-widths', ...machines.names()];
  const near = nearest(what, known);
  throw new TandemError('TANDEM_UNKNOWN_NAME', `There is no schema "${what}".`, {
    remedy: `${near === undefined ? '' : `Did you mean "${near}"? `}There are ${known.join(', ')}, and the one of experiments on a classifier, without a name.`,
  });
}

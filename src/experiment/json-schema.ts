/** JSON Schemas of what users write, for editors and for the reference. */
import { z } from 'zod';
import { decoderWidthsSchema } from './decoder-widths/schema.js';
import { decodingSchema } from './decoding/schema.js';
import { machineNamed } from './machines.js';
import { experimentSchema } from './schema.js';

export type JsonSchema = z.core.JSONSchema.JSONSchema;

export function experimentJsonSchema(): JsonSchema {
  return { title: 'Tandem experiment', ...z.toJSONSchema(experimentSchema(), { io: 'input' }) };
}

/** Of experiments on decoding: those with a `decoder`. */
export function decodingJsonSchema(): JsonSchema {
  return { title: 'Tandem experiment on decoding', ...z.toJSONSchema(decodingSchema(), { io: 'input' }) };
}

/** Of those whose technique gives a decoder's tokens bit widths. */
export function decoderWidthsJsonSchema(): JsonSchema {
  const schema = z.toJSONSchema(decoderWidthsSchema(), { io: 'input' });
  return { title: 'Tandem experiment on the widths of a decoder’s tokens', ...schema };
}

/** Of a machine's `config`. @throws TANDEM_UNKNOWN_NAME */
export function machineJsonSchema(name: string): JsonSchema {
  const machine = machineNamed(name, 'schema');
  const schema = z.toJSONSchema(machine.schema, { io: 'input' });
  return { title: `Tandem machine ${name}`, description: machine.description, ...schema };
}

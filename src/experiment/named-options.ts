/** `{ name, …options }`: how experiment files name an entry of a registry. */
import { z } from 'zod';
import type { Named, Registry } from '../registry.js';

/** An entry of a registry, with options that its schema has checked. */
export type NamedOptions = { name: string } & Record<string, unknown>;

/** `{ name, …options }` for each entry of a registry whose options are an object. */
// biome-ignore lint/suspicious/noExplicitAny: entries have options of their own; each schema checks its own.
export function named(registry: Registry<Named & { readonly schema: z.ZodType<any> }>): z.ZodType<NamedOptions> {
  const options = registry.list().map((entry) => {
    const schema = entry.schema as unknown as z.ZodObject;
    return schema.safeExtend({ name: z.literal(entry.name).describe(entry.description) });
  });
  return z.discriminatedUnion('name', options as unknown as [z.ZodObject]) as unknown as z.ZodType<NamedOptions>;
}

/** Splits `{ name, …options }`. */
export function optionsOf({ name, ...options }: NamedOptions): { name: string; options: Record<string, unknown> } {
  return { name, options };
}

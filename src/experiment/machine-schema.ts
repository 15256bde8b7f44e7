/** What an experiment says of a machine. */
import { z } from 'zod';
import { presetNames } from '../hardware/preset-files.js';
import { machines } from '../simulator/registry.js';

export function machineSchema() {
  return z
    .strictObject({
      preset: z
        .union([z.enum(presetNames()), z.string().regex(/\.ya?ml$/, 'the path of a .yaml file')])
        .optional()
        .describe('configuration of a machine: the name of a preset, or the path of a file like one'),
      machine: z.enum(machines.names()).optional().describe('machine by name, for a configuration of your own'),
      name: z.string().min(1).max(60).optional().describe('what reports call it; by default the preset or machine'),
      config: z
        .record(z.string(), z.unknown())
        .optional()
        .describe('configuration of the machine; its own defaults fill the rest'),
      set: z.record(z.string(), z.unknown()).optional().describe('settings to change, by path: `{ array.rows: 32 }`'),
    })
    .refine(({ preset, machine }) => (preset === undefined) !== (machine === undefined), {
      message: 'needs exactly one of `preset` and `machine`',
    })
    .refine(({ preset, config }) => preset === undefined || config === undefined, {
      message: 'a preset is changed by `set`; `config` goes with `machine`',
      path: ['config'],
    });
}

/** What an experiment says of searched options, of rivals, and of other models' shapes. */
import { z } from 'zod';
import { samplers } from '../search/registry.js';
import { techniques } from '../techniques/registry.js';
import { TRANSFORMER_NAMES } from '../workload/named-transformers.js';
import { machineSchema } from './machine-schema.js';
import { named } from './named-options.js';

export function searchSchema() {
  return z.strictObject({
    machine: z
      .string()
      .min(1)
      .optional()
      .describe('machine whose cost is made small, as reports call it; by default the first one'),
    minimise: z
      .enum(['cycles', 'energy', 'energy-delay'])
      .default('energy-delay')
      .describe('what is made small: cycles, energy, or their product'),
    accuracyBudget: z
      .number()
      .min(0)
      .max(1)
      .default(0.01)
      .describe('accuracy that may be lost against the baseline, as a share: 0.01 is one point'),
    confidence: z
      .number()
      .min(0.5)
      .lt(1)
      .default(0.95)
      .describe('how sure the examples that confirm must be that no more is lost'),
    samplers: z
      .array(named(samplers))
      .min(1)
      .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, 'must not name one twice')
      .default([{ name: 'bayesian' }])
      .describe('ways to search, each with the same number of trials; the choice is made from the trials of the first'),
    trials: z.int().min(2).max(10000).default(30).describe('points that each of them may try'),
    repetitions: z
      .int()
      .min(1)
      .max(100)
      .default(1)
      .describe('searches by each of them, with seeds from the experiment’s one on, for intervals'),
    calibration: z
      .int()
      .min(1)
      .default(256)
      .describe('validation examples on which trials are measured; the others confirm what was found'),
    costSequences: z
      .int()
      .min(1)
      .default(32)
      .describe('of these examples, those that are simulated, at fast fidelity where the machine has it'),
  });
}

export type SearchSettings = z.infer<ReturnType<typeof searchSchema>>;

export function rivalSchema() {
  return z.strictObject({
    name: z.string().min(1).optional().describe('as results call it; by default the technique’s name'),
    technique: named(techniques).describe('technique by name, with its options'),
    search: searchSchema().optional().describe('search of its options; `machine` is one of its own machines'),
    machines: z.array(machineSchema()).min(1).describe('machines that play its trace'),
  });
}

export function shapesSchema() {
  return z.strictObject({
    models: z
      .array(z.enum(TRANSFORMER_NAMES as [string, ...string[]]))
      .min(1)
      .describe('transformers by name'),
    tokens: z.int().min(2).max(4096).default(128).describe('tokens of a sequence; of measured exits, at most so many'),
    sequences: z.int().min(1).max(64).default(2).describe('sequences that are played'),
  });
}

export const equalSchema = () =>
  z
    .enum(['area', 'multipliers'])
    .optional()
    .describe('machines are resized to the area of the first one, or to its multipliers (number × widths)');

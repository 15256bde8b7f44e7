/** The experiment file: what a user writes to say which model learns what, and which machines run it. */
import { z } from 'zod';
import { datasets } from '../data/registry.js';
import { modelFamilies } from '../models/registry.js';
import type { Path } from '../settings/schema-walk.js';
import { techniques } from '../techniques/registry.js';
import { equalSchema, rivalSchema, searchSchema, shapesSchema } from './comparison-schema.js';
import { machineSchema } from './machine-schema.js';
import { named } from './named-options.js';

/**
 * Schema of an experiment file, over everything that is registered when it is called: extensions that a program
 * registers are allowed in its experiment files, and appear in the JSON Schema.
 */
export function experimentSchema() {
  return z
    .strictObject({
      tandem: z.literal(1).describe('version of this file format'),
      name: z
        .string()
        .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/)
        .describe('name of the experiment and of its run folder: letters, digits, "-", "_" and "."'),
      seed: z
        .int()
        .min(0)
        .max(0xffffffff)
        .default(1)
        .describe('seed of every random choice: splits, initial weights, order of examples'),
      model: named(modelFamilies).describe('model to adapt: its family by name, and that family’s options'),
      task: taskSchema(),
      training: trainingSchema.prefault({}).describe('fine-tuning, shared by the baseline and the adapted model'),
      technique: named(techniques).describe(
        'technique that decides at run time how much work is needed, with its options',
      ),
      tradeoff: z
        .strictObject({
          shifts: z
            .array(z.number())
            .default([])
            .describe(
              'offsets added to the learned thresholds, in units of the scaled score, each measured for the trade-off figure',
            ),
        })
        .prefault({})
        .describe('accuracy against pruning around the learned thresholds'),
      trace: z
        .strictObject({
          sequences: z
            .union([z.int().positive(), z.literal('all')])
            .default('all')
            .describe('test sequences whose work is recorded: a number, or "all"'),
          steps: z
            .union([z.int().positive(), z.array(z.int().min(0)).min(1)])
            .optional()
            .describe(
              'training steps whose zeros are recorded, of techniques that prune while training: every n-th, or a list (from 0); by default five spread over the training',
            ),
        })
        .prefault({})
        .describe('what is recorded of the adapted model’s run over the test split, and of its training'),
      search: searchSchema()
        .optional()
        .describe(
          'search of the technique’s options on the trained model, where they are a space that can be searched',
        ),
      rivals: z
        .array(rivalSchema())
        .default([])
        .describe('other techniques on the same trained baseline, each with machines of its own; they train nothing'),
      shapes: shapesSchema()
        .optional()
        .describe(
          'bits per token, or exits, as measured here, on the sizes of other models: nothing of those models is run',
        ),
      equal: equalSchema(),
      machines: z
        .array(machineSchema())
        .default([])
        .describe('machines that play the trace; ratios refer to the first one'),
      runtime: runtimeSchema.prefault({}).describe('how ONNX Runtime executes the model'),
    })
    .refine(
      ({ trace, training }) => !Array.isArray(trace.steps) || trace.steps.every((step) => step < training.steps),
      {
        error: 'names a step that the training does not have: they go from 0 to training.steps − 1',
        path: ['trace', 'steps'],
      },
    )
    .describe('A Tandem experiment');
}

export type Experiment = z.infer<ReturnType<typeof experimentSchema>>;

function taskSchema() {
  const size = (split: string) =>
    z.int().positive().optional().describe(`examples of the ${split} split; by default all`);
  return z
    .strictObject({
      dataset: z.enum(datasets.names()).describe('data set by name'),
      folder: z
        .string()
        .min(1)
        .optional()
        .describe('folder of the data, relative to the experiment file, for data sets that need one'),
      maxTokens: z.int().min(2).default(128).describe('longer texts are cut to this many tokens'),
      train: size('training'),
      validation: size('validation'),
      test: size('test'),
    })
    .describe('what the model is to do');
}

export const trainingSchema = z.strictObject({
  batchSize: z.int().positive().default(16).describe('sequences in a batch'),
  steps: z
    .int()
    .min(0)
    .default(200)
    .describe('optimiser steps of each stage: warm-up fine-tuning, then baseline and adapted model from there'),
  learningRate: z.number().positive().default(1e-3).describe('peak learning rate of the weights'),
  weightDecay: z.number().min(0).default(0.01).describe('decoupled weight decay (AdamW)'),
  warmup: z
    .number()
    .min(0)
    .max(1)
    .default(0.1)
    .describe('share of the steps over which the learning rate rises from 0'),
  schedule: z
    .enum(['linear', 'constant', 'cosine'])
    .default('linear')
    .describe('course of the learning rate after its rise'),
  clipNorm: z.number().min(0).default(1).describe('global gradient norm above which gradients are scaled down; 0: off'),
  accumulate: z.int().positive().default(1).describe('batches whose gradients are averaged into one step'),
});

export const runtimeSchema = z.strictObject({
  executionProviders: z
    .array(z.string().min(1))
    .min(1)
    .default(['cpu'])
    .describe('ONNX Runtime execution providers in order of preference, e.g. [cuda, cpu]'),
  threads: z.int().positive().optional().describe('threads within an operator; by default all cores'),
});

/** Settings whose values are names of registered things. */
const NAMES: readonly (readonly [RegExp, string])[] = [
  [/^model\.name$/, 'model family'],
  [/^model\.architecture$/, 'transformer'],
  [/^technique\.name$/, 'technique'],
  [/^task\.dataset$/, 'data set'],
  [/^decoder\.name$/, 'decoder family'],
  [/^decoder\.pretrained$/, 'pretrained decoder'],
  [/^text\.corpora\.\d+$/, 'corpus'],
  [/^machines\.\d+\.machine$/, 'machine'],
  [/^machines\.\d+\.preset$/, 'preset'],
];

/** What the value of a setting is a name of, for errors. */
export function nameKind(path: Path): string | undefined {
  return NAMES.find(([pattern]) => pattern.test(path.join('.')))?.[1];
}

/** The experiment file of a decoder: which one continues text, what it learns from, and which machines run it. */
import { z } from 'zod';
import { corpora } from '../../data/corpora.js';
import { decoderFamilies } from '../../models/registry.js';
import { toexOptions } from '../../techniques/toex-options.js';
import { shapesSchema } from '../comparison-schema.js';
import { machineSchema } from '../machine-schema.js';
import { named } from '../named-options.js';
import { runtimeSchema, trainingSchema } from '../schema.js';

const TOEX = 'ToEx (IEEE TC 2024): a token leaves after as few layers as the decoder is sure of.';

/** Settings of every experiment on a decoder. */
export const decoderSettings = () => ({
  tandem: z.literal(1).describe('version of this file format'),
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/)
    .describe('name of the experiment and of its run folder: letters, digits, "-", "_" and "."'),
  seed: z.int().min(0).max(0xffffffff).default(1).describe('seed of every random choice'),
  decoder: named(decoderFamilies).describe('decoder: its family by name, and that family’s options'),
  text: textSchema().describe('what the decoder learns from and is measured on'),
  machines: z
    .array(machineSchema())
    .default([])
    .describe('machines that play the trace; ratios refer to the first one'),
  runtime: runtimeSchema.prefault({}).describe('how ONNX Runtime executes the decoder'),
});

/** Schema over everything that is registered when it is called, as `experimentSchema`. */
export function decodingSchema() {
  const { machines, runtime, ...settings } = decoderSettings();
  return z
    .strictObject({
      ...settings,
      training: decoderTraining
        .optional()
        .describe('training of the decoder at every exit; absent: its weights stay as they are'),
      technique: z
        .discriminatedUnion('name', [toexOptions.extend({ name: z.literal('toex').describe(TOEX) })])
        .prefault({ name: 'toex' })
        .describe('technique that decides at run time how many layers each token needs'),
      shapes: shapesSchema()
        .optional()
        .describe('exits as measured here, on the sizes of other decoders: nothing of those is run'),
      machines,
      runtime,
    })
    .describe('A Tandem experiment on decoding');
}

export type DecodingExperiment = z.infer<ReturnType<typeof decodingSchema>>;
export type DecoderTraining = NonNullable<DecodingExperiment['training']>;

function textSchema() {
  return z.strictObject({
    corpora: z.array(z.enum(corpora.names())).min(1).describe('corpora by name'),
    folder: z
      .string()
      .min(1)
      .optional()
      .describe('folder of text files, relative to the experiment file, for the corpus "files"'),
    sequences: z
      .int()
      .positive()
      .optional()
      .describe('sequences of the held-out text that are looked at, of each half, spread evenly; by default all'),
    heldOut: z
      .number()
      .gt(0)
      .lt(1)
      .default(0.1)
      .describe(
        'share of each corpus’ last documents that is not trained on: half to calibrate with, half to measure on',
      ),
  });
}

const decoderTraining = trainingSchema.extend({
  tokens: z
    .int()
    .min(2)
    .optional()
    .describe('tokens of a sequence in training; by default the decoder’s whole context'),
  exitSequences: z
    .int()
    .positive()
    .optional()
    .describe('sequences of a batch that each exit before the last learns from; by default all'),
  exitWeights: z
    .union([z.enum(['uniform', 'depth', 'last']), z.array(z.number().min(0)).min(1)])
    .default('uniform')
    .describe(
      'weight of the loss at each layer’s exit: all alike, in proportion to depth, the last layer only, or a list with one for each layer',
    ),
});

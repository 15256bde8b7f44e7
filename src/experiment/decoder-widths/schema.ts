/** The experiment file of a decoder whose tokens get bit widths: DTQAtten, searched by what decoding costs on a machine. */
import { z } from 'zod';
import { decoderOptions } from '../../techniques/dtqatten-options.js';
import { equalSchema, searchSchema, shapesSchema } from '../comparison-schema.js';
import { decoderSettings } from '../decoding/schema.js';
import { machineSchema } from '../machine-schema.js';

export const TECHNIQUE = 'dtqatten';

const DESCRIPTION =
  'DTQAtten (DATE 2022): each step reads keys and values of the tokens that it sees at widths that follow their importance.';

/** Schema over everything that is registered when it is called, as `experimentSchema`. */
export function decoderWidthsSchema() {
  const { machines, runtime, ...settings } = decoderSettings();
  const technique = () =>
    z
      .discriminatedUnion('name', [decoderOptions.safeExtend({ name: z.literal(TECHNIQUE).describe(DESCRIPTION) })])
      .describe('technique that decides at run time how many bits each token needs');
  const search = () =>
    perplexitySearch()
      .optional()
      .describe('search of the widths’ ratios: the cheapest decoding that keeps the budget; absent: as given');
  const rival = z.strictObject({
    name: z.string().min(1).describe('as results call it'),
    technique: technique(),
    search: search(),
    machines: z.array(machineSchema()).min(1).describe('machines that play its trace'),
  });
  return z
    .strictObject({
      ...settings,
      technique: technique(),
      search: search(),
      rivals: z.array(rival).default([]).describe('other widths on the same decoder, with machines of their own'),
      trace: z
        .strictObject({
          sequences: z
            .int()
            .positive()
            .default(4)
            .describe('test sequences whose steps are recorded, and played by the machines'),
        })
        .prefault({})
        .describe('what is recorded'),
      shapes: shapesSchema()
        .optional()
        .describe(
          'widths as measured here, on the sizes of other decoders that decode a text step by step: nothing of those is run',
        ),
      equal: equalSchema(),
      machines,
      runtime,
    })
    .describe('A Tandem experiment on the widths of a decoder’s tokens');
}

/** As a classifier’s search, with a budget of perplexity, on sequences. */
function perplexitySearch() {
  const { accuracyBudget: _, ...others } = searchSchema().shape;
  return z.strictObject({
    ...others,
    perplexityBudget: z
      .number()
      .gt(0)
      .lt(1)
      .default(0.01)
      .describe('perplexity that may be lost against the decoder as it is, as a share: 0.01 is one per cent'),
    calibration: z
      .int()
      .min(1)
      .default(24)
      .describe('validation sequences on which trials are measured; the others confirm what was found'),
    costSequences: z
      .int()
      .min(1)
      .default(2)
      .describe('of these sequences, those that are simulated, at fast fidelity where the machine has it'),
  });
}

export type DecoderWidthsExperiment = z.infer<ReturnType<typeof decoderWidthsSchema>>;
export type PerplexitySearch = NonNullable<DecoderWidthsExperiment['search']>;

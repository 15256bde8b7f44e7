/** What users say of DTQAtten: the widths that tokens may have, and how many tokens get each. */
import { z } from 'zod';
import { TandemError } from '../errors.js';

/**
 * Shares at 8, 4 and 0 bits. Derived: with the published mean share of 0.405 at 4 bits they give the 3.72-fold reduction of
 * work that the published throughput implies, ((2·r8 + r4) / 2)² = 1 / 3.72.
 */
const PUBLISHED_MEAN = [0.316, 0.405, 0.279];
const SUM_TOLERANCE = 1e-6;

const optionsObject = z.strictObject({
  widths: z
    .array(z.int().min(0).max(16))
    .min(1)
    .default([8, 4, 0])
    .describe('bits that a token may have, descending; 0 as the last one removes tokens (published: 8, 4, 0)'),
  firstLayer: z
    .int()
    .min(2)
    .max(16)
    .optional()
    .describe(
      'bits of all tokens at the first layer, where nothing is known of their importance yet: one of the widths; since widths never rise, deeper layers have no more (default: the largest width)',
    ),
  machineWidths: z
    .array(z.int().min(0).max(16))
    .min(1)
    .default([0, 4, 8, 12, 16])
    .describe('bits that the machine can serve (multipliers of 4 bits: multiples of 4)'),
  ratios: z
    .array(z.array(z.number().min(0).max(1)).min(1))
    .min(1)
    .optional()
    .describe(
      'share of the tokens at each width, a row for each attention layer behind the first, the last row for all deeper ones (default: for 8, 4 and 0 bits derived from published means, else the largest width for all tokens)',
    ),
  decoder: z
    .boolean()
    .default(false)
    .describe(
      'the model is a causal decoder: importance adds up step by step, and each step gives the tokens that it sees widths of its own; for a whole text without this, later queries would count too',
    ),
  compensation: z
    .boolean()
    .default(false)
    .describe(
      'one averaged pseudo-token stands for the tokens of 0 bits, with the probability that these had when they were removed (the extension DTATrans; details assumed)',
    ),
  operands: z
    .boolean()
    .default(false)
    .describe(
      'also record the integers of Q, K and V, row by row with their steps: traces of a classifier grow a hundredfold',
    ),
  probabilities: z
    .enum(['token', 'real'])
    .default('token')
    .describe(
      'what multiplies V: each query’s row of probabilities, at the width of its token as the variable-speed array has it (assumed), or real numbers',
    ),
});
export type DtqattenOptions = z.infer<typeof optionsObject>;

/** The same for a causal decoder, step by step. */
export const decoderOptions = optionsObject
  .omit({ decoder: true, compensation: true, operands: true })
  .superRefine((options, context) => {
    for (const { path, message } of faultsOf({ ...options, ...OF_DECODER }))
      context.addIssue({ code: 'custom', path: [...path], message });
  });

/** What an experiment on a decoder need not say. */
export const OF_DECODER = { decoder: true, compensation: false, operands: false } as const;

interface Fault {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

export const dtqattenOptions = optionsObject.superRefine((options, context) => {
  for (const { path, message } of faultsOf(options)) context.addIssue({ code: 'custom', path: [...path], message });
});

function faultsOf(options: DtqattenOptions): Fault[] {
  const widths = widthFaults(options);
  return widths.length > 0
    ? widths
    : [
        ...firstLayerFaults(options),
        ...compensationFaults(options),
        ...operandsFaults(options),
        ...ratioFaults(options),
      ];
}

function compensationFaults({ compensation, decoder, widths }: DtqattenOptions): Fault[] {
  const fault = (message: string): Fault[] => [{ path: ['compensation'], message }];
  if (!compensation) return [];
  if (decoder) return fault('must be false for a decoder: its cache keeps every token, so that one may come back');
  return widths.at(-1) === 0 ? [] : fault('must be false where 0 is not one of the widths: no token is removed');
}

const operandsFaults = ({ operands, decoder }: DtqattenOptions): Fault[] =>
  operands && decoder
    ? [{ path: ['operands'], message: 'must be false for a decoder: each step would record all of its cache again' }]
    : [];

function firstLayerFaults({ firstLayer, widths }: DtqattenOptions): Fault[] {
  if (firstLayer === undefined || widths.includes(firstLayer)) return [];
  return [{ path: ['firstLayer'], message: `must be one of the widths above 0: ${widths.filter(Boolean).join(', ')}` }];
}

function widthFaults({ widths, machineWidths }: DtqattenOptions): Fault[] {
  return widths.flatMap((width, at): Fault[] => {
    const path = ['widths', at];
    if (at > 0 && width >= widths[at - 1]!) return [{ path, message: 'must be smaller than the width before it' }];
    if (width === 0 && at === 0) return [{ path, message: 'must not be 0: no token would be left' }];
    if (width === 1) return [{ path, message: 'must not be 1: a sign needs a digit beside it' }];
    if (machineWidths.includes(width)) return [];
    return [{ path, message: `must be a width that the machine serves: ${machineWidths.join(', ')}` }];
  });
}

function ratioFaults({ widths, ratios }: DtqattenOptions): Fault[] {
  return (ratios ?? []).flatMap((row, at): Fault[] => {
    const fault = rowFault(row, ratios![at - 1], widths);
    return fault === undefined ? [] : [{ path: ['ratios', at], message: fault }];
  });
}

function rowFault(row: readonly number[], before: readonly number[] | undefined, widths: readonly number[]) {
  if (row.length !== widths.length) return `must hold one share for each of the widths ${widths.join(', ')}`;
  const sum = row.reduce((total, share) => total + share, 0);
  if (Math.abs(sum - 1) > SUM_TOLERANCE) return `must sum to 1, not ${Number(sum.toPrecision(9))}`;
  if (widths.at(-1) === 0 && sum - row.at(-1)! <= SUM_TOLERANCE) return 'must leave some tokens: not all at 0 bits';
  if (before?.length !== row.length) return undefined;
  const rises = row.findIndex((_, width) => upTo(row, width) > upTo(before, width) + SUM_TOLERANCE);
  if (rises < 0) return undefined;
  return `must not give ${widths[rises]} bits or more to a larger share than the row before: widths never rise with depth`;
}

const upTo = (row: readonly number[], last: number): number =>
  row.slice(0, last + 1).reduce((sum, share) => sum + share, 0);

/** Ratios that follow from published means, where the published widths are used. */
export const publishedRatios = (widths: readonly number[]): number[][] | undefined =>
  widths.join() === '8,4,0' ? [PUBLISHED_MEAN] : undefined;

/** What decides at run time: the same graph serves all of them. */
export type DtqattenChoice = Pick<DtqattenOptions, 'firstLayer' | 'ratios'>;

/**
 * A row of shares for each attention layer; in the first one, all tokens have one width.
 * @throws TANDEM_CONFIG_INVALID for more rows than there are layers behind the first
 */
export function rowsFor(
  { firstLayer, ratios: given }: DtqattenChoice,
  widths: readonly number[],
  attentionLayers: number,
): readonly (readonly number[])[] {
  const ratios = given ?? publishedRatios(widths) ?? [widths.map((_, width) => Number(width === 0))];
  const behindFirst = attentionLayers - 1;
  // The default must fit a model of one layer, on which ratios do nothing.
  if (ratios.length > Math.max(1, behindFirst)) {
    throw new TandemError(
      'TANDEM_CONFIG_INVALID',
      `${ratios.length} rows of ratios, but ${behindFirst} layers for them.`,
      {
        place: 'technique.ratios',
        remedy: 'Give at most one row for each attention layer behind the first, where all tokens have one width.',
      },
    );
  }
  const first = widths.map((width) => (width === (firstLayer ?? widths[0]) ? 1 : 0));
  return [first, ...Array.from({ length: behindFirst }, (_, layer) => ratios[Math.min(layer, ratios.length - 1)]!)];
}

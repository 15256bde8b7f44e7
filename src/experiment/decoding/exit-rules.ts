/** How a decoder's tokens leave, as a run calibrated it: a small file beside the weights, which `tandem generate` reads. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { TandemError } from '../../errors.js';
import { NO_CHECK } from '../../techniques/toex-calibration.js';
import type { ToexOptions } from '../../techniques/toex-options.js';

export const EXIT_RULES_FILE = 'early-exit.json';

const schema = z.strictObject({
  candidates: z.int().min(2),
  confidence: z.enum(['gap', 'probability']),
  /** For each layer before the last; null where no check is made. */
  thresholds: z.array(z.number().min(0).max(1).nullable()),
  /** What the thresholds keep, for people. */
  keeps: z.string(),
});
export type ExitRules = z.infer<typeof schema>;

export function exitRules(
  { candidates, confidence, budget, threshold }: ToexOptions,
  thresholds: readonly number[],
): ExitRules {
  const kept =
    budget.measure === 'perplexity'
      ? `perplexity within ${100 * budget.loss} % of the full decoder`
      : `${100 * (1 - budget.loss)} % of the full decoder's tokens`;
  return {
    candidates,
    confidence,
    thresholds: thresholds.map((own) => (own === NO_CHECK ? null : own)),
    keeps: threshold === undefined ? kept : 'what was given, not calibrated',
  };
}

/** @returns undefined where the folder has none @throws TANDEM_CHECKPOINT_INVALID */
export async function readExitRules(folder: string, layers: number): Promise<ExitRules | undefined> {
  const file = join(folder, EXIT_RULES_FILE);
  const content = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return undefined;
    throw cause;
  });
  if (content === undefined) return undefined;
  try {
    const rules = schema.parse(JSON.parse(content));
    if (rules.thresholds.length === layers - 1) return rules;
    throw new Error(`${rules.thresholds.length} thresholds for ${layers} layers`);
  } catch (cause) {
    throw new TandemError('TANDEM_CHECKPOINT_INVALID', 'The rules of early exit do not fit the decoder.', {
      place: `${file}: ${cause instanceof z.ZodError ? z.prettifyError(cause) : (cause as Error).message}`,
      remedy: 'Run an experiment on this decoder again, remove the file, or give a --threshold.',
      cause,
    });
  }
}

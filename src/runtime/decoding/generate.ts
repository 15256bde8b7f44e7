import { TandemError } from '../../errors.js';
import { choose, type Sampling, seededRandom } from './sampling.js';
import { Sequence } from './sequence.js';
import type { DecoderSessions } from './sessions.js';
import { type StepOptions, step } from './step.js';

export interface GenerateOptions extends StepOptions {
  /** Most tokens to generate for each prompt. */
  readonly tokens: number;
  readonly sampling: Sampling;
  /** Prompt number n draws from the seed plus n: what comes of it does not depend on the batch. */
  readonly seed: number;
  /** The token that ends a text; it is the last one generated. */
  readonly endOfText?: number;
}

export type End = 'end-of-text' | 'tokens' | 'context';

export interface GeneratedToken {
  /** Number of the prompt. */
  readonly sequence: number;
  readonly id: number;
  /** Layers that ran before it was chosen. */
  readonly exit: number;
  /** Of a text's last token: why it is the last. */
  readonly end?: End;
}

/** What one step brought: a token for every text that goes on. */
export interface GeneratedStep {
  readonly tokens: readonly GeneratedToken[];
  readonly loads: number;
  readonly tokenLayers: number;
}

/**
 * Continues prompts together, a token each in every step, until a text ends, has as many tokens as wanted, or fills the
 * context; the token behind the last place of the context is chosen, but could not run any more.
 * @throws TANDEM_PROMPT_INVALID for a prompt without tokens, longer than the context, or with tokens that do not exist
 */
export async function* generate(
  sessions: DecoderSessions,
  prompts: readonly (readonly number[])[],
  { tokens, sampling, seed, endOfText, ...options }: GenerateOptions,
): AsyncGenerator<GeneratedStep> {
  for (const [at, prompt] of prompts.entries()) checkPrompt(prompt, sessions, `prompt ${at + 1}`);
  const { context } = sessions.sizes;
  let texts = prompts.map((prompt, number) => {
    return {
      number,
      sequence: new Sequence(prompt, sessions.sizes),
      random: seededRandom(seed + number),
      left: tokens,
    };
  });
  while (texts.length > 0) {
    const { exits, choices, ...counts } = await step(
      sessions,
      texts.map(({ sequence }) => sequence),
      options,
    );
    const chosen = texts.map((text, at): GeneratedToken => {
      const id = choose(choices[at]!, sampling, text.random);
      const full = text.sequence.tokens.length === context;
      const end = id === endOfText ? 'end-of-text' : --text.left === 0 ? 'tokens' : full ? 'context' : undefined;
      text.sequence.tokens.push(id);
      return { sequence: text.number, id, exit: exits[at]!, ...(end && { end }) };
    });
    yield { tokens: chosen, ...counts };
    texts = texts.filter((_, at) => !chosen[at]!.end);
  }
}

function checkPrompt(prompt: readonly number[], { sizes }: DecoderSessions, place: string): void {
  const { context, vocabulary } = sizes;
  const invalid = (message: string, remedy: string) =>
    new TandemError('TANDEM_PROMPT_INVALID', message, { place, remedy });
  if (prompt.length === 0) throw invalid('The prompt is empty.', 'Give at least one character to go on from.');
  if (prompt.length > context) {
    throw invalid(
      `The prompt has ${prompt.length} tokens, the model's context ${context}.`,
      'Shorten the prompt; a model sees no more tokens than its context has places.',
    );
  }
  const unknown = prompt.find((id) => !(Number.isInteger(id) && id >= 0 && id < vocabulary));
  if (unknown === undefined) return;
  throw invalid(`There is no token ${unknown}.`, `The model's tokens are 0 to ${vocabulary - 1}.`);
}

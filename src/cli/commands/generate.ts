import { Command, InvalidArgumentError, Option } from 'commander';
import { TandemError } from '../../errors.js';
import type { GeneratedPiece } from '../../experiment/api.js';
import type { CliContext } from '../context.js';
import { positiveInteger, positiveOrZero, positiveShare, share } from '../options.js';
import { loadGenerator } from '../pipeline.js';

interface Options {
  readonly model: string;
  readonly tokens: number;
  readonly seed: number;
  readonly temperature: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly threshold?: number;
  readonly exit: boolean;
  readonly exits?: true;
  readonly threads?: number;
  readonly format: 'text' | 'json';
}

export function generateCommand(context: CliContext): Command {
  return new Command('generate')
    .description('Continue a text with a decoder whose tokens stop after as few layers as they are sure of.')
    .argument('[prompt]', 'text to continue; default: standard input, without its last line break')
    .option(
      '--model <model>',
      'decoder that comes with Tandem, by name, or Hugging Face folder of a GPT-2',
      'gpt-12x128',
    )
    .addOption(new Option('--tokens <number>', 'most tokens to generate').argParser(positiveInteger).default(100))
    .addOption(
      new Option('--temperature <value>', 'divides the logits; 0 always takes the likeliest token')
        .argParser(positiveOrZero)
        .default(0),
    )
    .addOption(
      new Option('--top-k <number>', 'draw among so many of the likeliest tokens; needs a --temperature').argParser(
        positiveInteger,
      ),
    )
    .addOption(
      new Option(
        '--top-p <share>',
        'draw among the likeliest tokens that together are this probable; needs a --temperature',
      ).argParser(positiveShare),
    )
    .addOption(new Option('--seed <number>', 'seed of what is drawn').argParser(seed).default(1))
    .addOption(
      new Option(
        '--threshold <share>',
        'a token stops when the likeliest next one leads by this much; default: as calibrated for the decoder, else never',
      ).argParser(share),
    )
    .addOption(new Option('--no-exit', 'every token runs all layers').conflicts('threshold'))
    .addOption(new Option('--exits', 'show after how many layers each token was chosen'))
    .addOption(new Option('--threads <number>', 'threads; default: all cores').argParser(positiveInteger))
    .addOption(new Option('--format <format>', 'how it is printed').choices(['text', 'json']).default('text'))
    .action(async (argument: string | undefined, { exits, format, ...options }: Options) => {
      requireDrawn(options);
      const prompt = argument ?? (await standardInput(context));
      const { generateText } = await loadGenerator();
      const request = { ...options, prompt };
      const pieces: GeneratedPiece[] = [];
      for await (const piece of generateText(request, { progress: context.progress, signal: context.signal })) {
        pieces.push(piece);
        if (format === 'text') context.stdout.write(exits ? withExit(piece, context.colours) : piece.text);
      }
      context.stdout.write(format === 'json' ? `${JSON.stringify(summary(prompt, pieces), null, 2)}\n` : '\n');
      if (pieces.at(-1)?.end === 'context') context.progress.note('The text ends here: the context is full.');
    });
}

/** What narrows the draw does nothing where the likeliest token is always taken. */
function requireDrawn({ temperature, topK, topP }: Pick<Options, 'temperature' | 'topK' | 'topP'>): void {
  if (temperature > 0 || (topK ?? topP) === undefined) return;
  throw new TandemError('TANDEM_USAGE', 'At temperature 0 nothing is drawn, so there is nothing to draw among.', {
    place: topK === undefined ? '--top-p' : '--top-k',
    remedy: 'Add --temperature 1, say, or leave it out.',
  });
}

function summary(prompt: string, pieces: readonly GeneratedPiece[]): object {
  const layersRun = pieces.reduce((sum, { exit }) => sum + exit, 0);
  return {
    prompt,
    text: pieces.map(({ text }) => text).join(''),
    end: pieces.at(-1)?.end,
    layers: pieces[0]?.layers,
    meanExit: layersRun / pieces.length,
    tokens: pieces.map(({ id, text, exit }) => ({ id, text, exit })),
  };
}

/** From few layers to all of them, in colours of the 256 that terminals have: blue, green, yellow, red. */
const RAMP = [33, 38, 43, 48, 83, 118, 154, 190, 220, 214, 208, 202, 196];

function withExit({ text, exit, layers }: GeneratedPiece, colours: boolean): string {
  if (!colours) return `${text}[${exit}]`;
  const place = layers === 1 ? 1 : (exit - 1) / (layers - 1);
  return `\x1b[38;5;${RAMP[Math.round(place * (RAMP.length - 1))]}m${text}\x1b[0m`;
}

async function standardInput({ stdin }: CliContext): Promise<string> {
  if (stdin.isTTY) {
    throw new TandemError('TANDEM_USAGE', 'There is no prompt.', {
      remedy: 'Give the text to continue as an argument, or on standard input.',
    });
  }
  const parts: Uint8Array[] = [];
  for await (const part of stdin) parts.push(part);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts)).replace(/\r?\n$/, '');
  } catch (cause) {
    throw new TandemError('TANDEM_PROMPT_INVALID', 'The prompt is not UTF-8.', {
      place: 'standard input',
      remedy: 'Convert it first, for example with iconv.',
      cause,
    });
  }
}

function seed(value: string): number {
  const number = Number(value);
  if (value.trim() !== '' && Number.isInteger(number) && number >= 0 && number <= 0xffffffff) return number;
  throw new InvalidArgumentError('It must be a whole number from 0 to 4294967295.');
}

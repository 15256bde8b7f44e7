/** A text continued by a decoder, as `tandem generate` prints it. */
import { existsSync } from 'node:fs';
import { TandemError } from '../../errors.js';
import { readBytePairTokenizer } from '../../models/byte-pair-files.js';
import { PRETRAINED, pretrainedFolder } from '../../models/gpt2-family.js';
import { readGpt2Folder } from '../../models/gpt2-folder.js';
import { gpt2Stages } from '../../models/gpt2-stages.js';
import { requireTokenizerFits } from '../../models/hugging-face-tokenizer.js';
import { generate } from '../../runtime/decoding/generate.js';
import { LightEmbedding } from '../../runtime/decoding/light-embedding.js';
import { confidencePolicy } from '../../runtime/decoding/policies.js';
import { DecoderSessions } from '../../runtime/decoding/sessions.js';
import type { TextGenerator } from '../api.js';
import { type ExitRules, readExitRules } from './exit-rules.js';

/** Words that a check computes exact logits for: the technique's default. */
const CANDIDATES = 64;

export const generateText: TextGenerator['generateText'] = async function* (request, { signal }) {
  const { exit, threshold, threads, prompt, temperature, topK, topP, ...options } = request;
  const named = (PRETRAINED as readonly string[]).includes(request.model) && !existsSync(request.model);
  const folder = named ? pretrainedFolder(request.model) : requireFolder(request.model);
  const { config, weights } = await readGpt2Folder(folder);
  const tokenizer = await readBytePairTokenizer(folder);
  requireTokenizerFits(tokenizer.vocabularySize, config.vocabulary, folder);
  const rules = exit ? await rulesOf(folder, config.layers, threshold) : undefined;
  const sessions = await DecoderSessions.create(gpt2Stages(config, weights), {
    ...(threads !== undefined && { threads }),
    stops: rules ? checkedLayers(rules) : [],
  });
  try {
    const stream = tokenizer.stream();
    const steps = generate(sessions, [tokenizer.encode(prompt)], {
      tokens: options.tokens,
      seed: options.seed,
      endOfText: tokenizer.endOfText,
      sampling: { temperature, ...(topK !== undefined && { topK }), ...(topP !== undefined && { topP }) },
      ...(rules && { policy: policyOf(rules, sessions) }),
    });
    for await (const { tokens } of steps) {
      signal?.throwIfAborted();
      const { id, exit: depth, end } = tokens[0]!;
      const text = stream.push(id) + (end ? stream.end() : '');
      yield { id, text, exit: depth, layers: config.layers, ...(end && { end }) };
    }
  } finally {
    await sessions.dispose();
  }
};

function requireFolder(model: string): string {
  if (existsSync(model)) return model;
  throw new TandemError(
    'TANDEM_FILE_NOT_FOUND',
    `There is no folder "${model}", and no decoder of that name comes with Tandem.`,
    {
      place: model,
      remedy: `Name a folder that the transformers library or "tandem train" wrote, or one of: ${PRETRAINED.join(', ')}.`,
    },
  );
}

/** A check after every layer at the threshold given, else as calibrated; all layers where neither is known. */
async function rulesOf(folder: string, layers: number, threshold: number | undefined): Promise<Rules | undefined> {
  if (threshold === undefined) return readExitRules(folder, layers);
  return { candidates: CANDIDATES, confidence: 'gap', thresholds: new Array<number>(layers - 1).fill(threshold) };
}

type Rules = Pick<ExitRules, 'candidates' | 'confidence' | 'thresholds'>;

/** After these layers a token may stop; others run at once. */
const checkedLayers = ({ thresholds }: Rules): number[] =>
  thresholds.flatMap((threshold, layer) => (threshold === null ? [] : [layer + 1]));

function policyOf({ candidates, confidence, thresholds }: Rules, sessions: DecoderSessions) {
  return confidencePolicy(sessions, new LightEmbedding(sessions.words, sessions.sizes.hidden, candidates), {
    thresholds: thresholds.map((threshold) => threshold ?? undefined),
    measure: confidence,
  });
}

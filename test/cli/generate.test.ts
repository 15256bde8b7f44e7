import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { CliContext } from '../../src/cli/context.js';
import { main } from '../../src/cli/main.js';
import { silentProgress } from '../../src/experiment/progress.js';
import { tokenizerJson } from '../../src/models/byte-pair-files.js';
import { trainBytePairs } from '../../src/models/byte-pair-training.js';
import { buildGpt2 } from '../../src/models/gpt2.js';
import { writeGpt2Folder } from '../../src/models/gpt2-folder.js';
import { readSafetensors, writeSafetensors } from '../../src/runtime/safetensors-files.js';
import { randomWeights, config as small } from '../runtime/decoding/decoder.js';

const tokenizer = trainBytePairs([{ text: 'the whale and the sea and the ship and the whale' }], 262);
const config = { ...small, vocabulary: tokenizer.vocabularySize };
const folder = await mkdtemp(join(tmpdir(), 'generate-'));
afterAll(() => rm(folder, { recursive: true }));
const { graph } = buildGpt2(config, randomWeights(5, config.layers));
await writeGpt2Folder(folder, { config, weights: graph.initializers, tokenizer: tokenizerJson(tokenizer), card: '' });

/** Runs `tandem generate` with bytes on standard input; `terminal`: on a screen. */
async function generate(args: string[], { input, terminal = false }: { input?: Uint8Array; terminal?: boolean } = {}) {
  const output = { stdout: '', stderr: '' };
  const stdin = Object.assign(
    (async function* () {
      if (input) yield input;
    })(),
    { isTTY: input === undefined },
  );
  const context = new CliContext(
    { write: (text: string) => (output.stdout += text), ...(terminal && { isTTY: true }) },
    { write: (text) => (output.stderr += text) },
    () => silentProgress,
    stdin,
  );
  const code = await main(['generate', '--model', folder, '--threads', '1', ...args], context);
  return { code, ...output };
}

const json = async (...args: string[]) => JSON.parse((await generate([...args, '--format', 'json'])).stdout);

describe('tandem generate', () => {
  it('continues a prompt from an argument or from standard input', async () => {
    const { code, stdout } = await generate(['the whale', '--tokens', '8', '--no-exit']);
    const found = await json('the whale', '--tokens', '8', '--no-exit');
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${found.text}\n` });
    expect(found).toMatchObject({ prompt: 'the whale', layers: 4, meanExit: 4 });
    const piped = await generate(['--tokens', '8', '--no-exit'], { input: new TextEncoder().encode('the whale\n') });
    expect(piped.stdout).toBe(stdout);
  });

  it('decodes what the tokens say, characters of several tokens included', async () => {
    const { text, tokens } = await json('the sea', '--tokens', '30', '--temperature', '2', '--no-exit');
    expect(text).toBe(tokenizer.decode(tokens.map(({ id }: { id: number }) => id)));
  });

  it('shows after how many layers each token was chosen: as numbers, or as colours on a terminal', async () => {
    const args = ['the whale', '--tokens', '3', '--threshold', '0', '--exits'];
    const { tokens } = await json(...args);
    expect(tokens.map(({ exit }: { exit: number }) => exit)).toEqual([1, 1, 1]);
    const pieces = tokens.map(({ text }: { text: string }) => text);
    expect((await generate(args)).stdout).toBe(`${pieces.map((text: string) => `${text}[1]`).join('')}\n`);
    const coloured = pieces.map((text: string) => `\x1b[38;5;33m${text}\x1b[0m`);
    expect((await generate(args, { terminal: true })).stdout).toBe(`${coloured.join('')}\n`);
  });

  it('lets tokens leave by the rules beside the weights, if there are any', async () => {
    const exits = async () => {
      const { tokens } = await json('the whale', '--tokens', '4');
      return tokens.map(({ exit }: { exit: number }) => exit);
    };
    expect(await exits()).toEqual([4, 4, 4, 4]);
    const file = join(folder, 'early-exit.json');
    const rules = { candidates: 8, confidence: 'gap', keeps: 'nothing' };
    await writeFile(file, JSON.stringify({ ...rules, thresholds: [null, 0, null] }));
    onTestFinished(() => rm(file));
    expect(await exits()).toEqual([2, 2, 2, 2]);
    await writeFile(file, JSON.stringify({ ...rules, thresholds: [0] }));
    const { code, stderr } = await generate(['the whale']);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('TANDEM_CHECKPOINT_INVALID') });
  });

  it('draws by a seed', async () => {
    const drawn = (...args: string[]) => json('the', '--tokens', '12', '--temperature', '1', ...args);
    expect(await drawn('--seed', '3')).toEqual(await drawn('--seed', '3'));
    expect((await drawn('--seed', '3')).text).not.toBe((await drawn('--seed', '4')).text);
  });

  it('ends where the context is full', async () => {
    const { end, tokens } = await json('the whale', '--tokens', '1000', '--no-exit');
    const prompt = tokenizer.encode('the whale').length;
    if (end === 'context') expect(tokens).toHaveLength(config.context - prompt + 1);
    else expect(end).toBe('end-of-text');
  });

  it.each([
    ['an empty prompt', [''], {}, 'TANDEM_PROMPT_INVALID'],
    ['a prompt longer than the context', ['x y '.repeat(60)], {}, 'TANDEM_PROMPT_INVALID'],
    ['bytes that are not UTF-8', [], { input: Uint8Array.of(0x61, 0xff) }, 'TANDEM_PROMPT_INVALID'],
    ['no prompt at a terminal', [], {}, 'TANDEM_USAGE'],
    ['a threshold above 1', ['the', '--threshold', '1.5'], {}, 'TANDEM_USAGE'],
    ['a negative temperature', ['the', '--temperature', '-1'], {}, 'TANDEM_USAGE'],
    ['to draw among few at temperature 0', ['the', '--top-k', '5'], {}, 'TANDEM_USAGE'],
    ['to draw among none', ['the', '--temperature', '1', '--top-p', '0'], {}, 'TANDEM_USAGE'],
    ['a threshold where no token may leave', ['the', '--no-exit', '--threshold', '0.5'], {}, 'TANDEM_USAGE'],
    ['a model that does not exist', ['the', '--model', 'no-such-model'], {}, 'TANDEM_FILE_NOT_FOUND'],
  ])('refuses %s', async (_, args, streams, code) => {
    const { stderr, stdout } = await generate(args, streams);
    expect(stderr).toContain(code);
    expect(stdout).toBe('');
  });

  it('names the decoders that come along where there is no such folder', async () => {
    expect((await generate(['the', '--model', 'gpt-12x'])).stderr).toContain('gpt-12x128');
  });

  it('refuses a checkpoint with missing layers, and names what is missing', async () => {
    const broken = await mkdtemp(join(tmpdir(), 'generate-'));
    const { tensors } = await readSafetensors(join(folder, 'model.safetensors'));
    const kept = new Map([...tensors].filter(([name]) => !name.includes('.h.3.')));
    await writeSafetensors(join(broken, 'model.safetensors'), { tensors: kept, metadata: {} });
    for (const file of ['config.json', 'tokenizer.json']) {
      await copyFile(join(folder, file), join(broken, file));
    }
    const { code, stderr } = await generate(['the', '--model', broken]);
    expect(code).toBe(1);
    expect(stderr).toContain('TANDEM_CHECKPOINT_INVALID');
    expect(stderr).toContain('h.3.ln_1.weight');
    await rm(broken, { recursive: true });
  });
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Tokenizer as HuggingFace } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BYTE_CHARACTERS, type BytePairTokenizer, encodeDocuments, splitWords } from '../../src/models/byte-pair.js';
import { readBytePairTokenizer, tokenizerJson } from '../../src/models/byte-pair-files.js';
import { trainBytePairs } from '../../src/models/byte-pair-training.js';
import { readHuggingFaceTokenizer } from '../../src/models/hugging-face-tokenizer.js';
import { referenceMerges, referenceTokens } from './byte-pair-reference.js';

const document = (text: string) => ({ title: '', text });
/** A few letters, so that pairs repeat, with what the pattern splits at. */
const repetitive = fc.string({
  unit: fc.constantFrom('a', 'b', 'c', ' ', "'s", '1', '\n', '-', 'é', '语'),
  maxLength: 60,
});
const anyText = fc.string({ unit: 'grapheme', maxLength: 40 });

const SAMPLE =
  'The whale, the white whale! He said: “It’s the whale I’ve hunted — 3 years, 1851.”\n\nThe end of the whale.';
const sample = trainBytePairs([document(SAMPLE.repeat(3))], 300);
const tokensOf = (tokenizer: BytePairTokenizer, ids: readonly number[]) => {
  const names = new Map([...tokenizer.vocabulary.ids].map(([token, id]) => [id, token]));
  return ids.map((id) => names.get(id));
};

describe('words', () => {
  it('take the space before them along, and leave the last of several spaces to the next word', () => {
    expect(splitWords("We've  seen 12 whales!\n\nAll")).toEqual([
      'We',
      "'ve",
      ' ',
      ' seen',
      ' 12',
      ' whales',
      '!',
      '\n',
      '\n',
      'All',
    ]);
  });

  it('are the text, put together', () => {
    fc.assert(fc.property(anyText, (text) => splitWords(text).join('') === text));
  });
});

describe('characters for bytes', () => {
  it('are those of GPT-2', () => {
    expect(new Set(BYTE_CHARACTERS).size).toBe(256);
    expect([0x20, 0x0a, 0x41, 0x7f, 0xa0, 0xad, 0xff].map((byte) => BYTE_CHARACTERS[byte])).toEqual([
      'Ġ',
      'Ċ',
      'A',
      'ġ',
      'ł',
      'Ń',
      'ÿ',
    ]);
  });
});

describe('training', () => {
  it('merges what a plain trainer merges that counts all pairs again after every merge', () => {
    fc.assert(
      fc.property(fc.array(repetitive, { maxLength: 5 }), fc.integer({ min: 257, max: 290 }), (texts, size) => {
        const trained = trainBytePairs(texts.map(document), size);
        expect(trained.vocabulary.merges).toEqual(referenceMerges(texts, size));
      }),
      { numRuns: 200 },
    );
  });

  it('gives 256 bytes, the merges and the end of text their ids in this order', () => {
    expect(sample.vocabularySize).toBe(300);
    expect(sample.endOfText).toBe(299);
    expect([...sample.vocabulary.ids.values()]).toEqual(Array.from({ length: 299 }, (_, id) => id));
    const [left, right] = sample.vocabulary.merges[0]!;
    expect(sample.vocabulary.ids.get(left + right)).toBe(256);
  });

  it('stops early where no pair is left that occurs twice', () => {
    expect(trainBytePairs([document('ab ab')], 1000).vocabulary.merges).toEqual([['a', 'b']]);
    expect(trainBytePairs([], 1000).vocabularySize).toBe(257);
  });

  it('needs room for all bytes and the end of text', () => {
    expect(() => trainBytePairs([], 256)).toThrowError(
      expect.objectContaining({ code: 'TANDEM_CONFIG_INVALID', remedy: expect.stringContaining('257') }),
    );
  });
});

describe('encoding', () => {
  it('applies the merges in the order of their rank', () => {
    fc.assert(
      fc.property(fc.array(repetitive, { minLength: 1, maxLength: 4 }), repetitive, (texts, text) => {
        const trained = trainBytePairs(texts.map(document), 290);
        expect(tokensOf(trained, trained.encode(text))).toEqual(referenceTokens(text, trained.vocabulary.merges));
      }),
    );
  });

  it('is undone by decoding, whatever the text', () => {
    fc.assert(
      fc.property(anyText, (text) => sample.decode(sample.encode(text)) === text),
      { numRuns: 500 },
    );
    expect(sample.decode(sample.encode('\uFEFFmark'))).toBe('\uFEFFmark');
  });

  it('is that of Hugging Face’s tokenizers from the same file', () => {
    const theirs = new HuggingFace(JSON.parse(JSON.stringify(tokenizerJson(sample))), {});
    // JavaScript's \s, with which that package splits, differs from the original's in these two.
    const comparable = anyText.filter((text) => !/[\u0085\uFEFF]/.test(text));
    fc.assert(
      fc.property(fc.oneof(comparable, repetitive, fc.constant(SAMPLE)), (text) => {
        const ids = sample.encode(text);
        expect(theirs.encode(text).ids).toEqual(ids);
        if (ids.length > 0) expect(theirs.decode(ids, { clean_up_tokenization_spaces: false })).toBe(text);
      }),
      { numRuns: 300 },
    );
  });

  it('takes the name of a special token in the text as text', () => {
    expect(sample.encode('<|endoftext|>')).not.toContain(sample.endOfText);
    expect(sample.decode([...sample.encode('a'), sample.endOfText, ...sample.encode('b')])).toBe('ab');
  });

  it('ends every document with the end of text', () => {
    const tokens = encodeDocuments(sample, [document('The whale'), document('the end')]);
    const { endOfText } = sample;
    expect([...tokens]).toEqual([...sample.encode('The whale'), endOfText, ...sample.encode('the end'), endOfText]);
    expect(tokens).toBeInstanceOf(Uint16Array);
  });
});

describe('decoding as tokens come', () => {
  it('holds a character back until its bytes are complete', () => {
    const bytes = trainBytePairs([], 257);
    const stream = bytes.stream();
    expect(bytes.encode('a语').map((id) => stream.push(id))).toEqual(['a', '', '', '语']);
    expect(stream.end()).toBe('');
    stream.push(bytes.encode('语')[0]!);
    expect(stream.end()).toBe('\uFFFD');
  });

  it('gives in pieces what decoding gives at once', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 299 })), (ids) => {
        const stream = sample.stream();
        expect(ids.map((id) => stream.push(id)).join('') + stream.end()).toBe(sample.decode(ids));
      }),
    );
  });
});

describe('files', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tandem-bpe-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const write = (files: Record<string, unknown>) => {
    const at = mkdtempSync(join(folder, 'x'));
    for (const [name, content] of Object.entries(files)) {
      writeFileSync(join(at, name), typeof content === 'string' ? content : JSON.stringify(content));
    }
    return at;
  };
  const { ids, merges, special } = sample.vocabulary;

  it('read as they were written, by us and through the encoders’ reader', async () => {
    const at = write({ 'tokenizer.json': tokenizerJson(sample) });
    const read = await readBytePairTokenizer(at);
    expect([read.vocabularySize, read.endOfText]).toEqual([300, 299]);
    expect(read.encode(SAMPLE)).toEqual(sample.encode(SAMPLE));
    expect((await readHuggingFaceTokenizer(at)).encode(SAMPLE, 1000)).toEqual(sample.encode(SAMPLE));
  });

  it('may be GPT-2’s vocab.json and merges.txt', async () => {
    const lines = ['#version: 0.2', ...merges.map((pair) => pair.join(' ')), ''].join('\n');
    const read = await readBytePairTokenizer(
      write({ 'vocab.json': Object.fromEntries([...ids, ...special]), 'merges.txt': lines }),
    );
    expect([read.vocabularySize, read.endOfText]).toEqual([300, 299]);
    expect(read.encode(SAMPLE)).toEqual(sample.encode(SAMPLE));
  });

  it('may name another end of text', async () => {
    const json = JSON.parse(JSON.stringify(tokenizerJson(sample)).replaceAll('<|endoftext|>', '</s>'));
    const config = { eos_token: { content: '</s>' } };
    const read = await readBytePairTokenizer(write({ 'tokenizer.json': json, 'tokenizer_config.json': config }));
    expect(read.endOfText).toBe(299);
  });

  it.each([
    ['is missing', {}, 'TANDEM_FILE_NOT_FOUND', 'no tokenizer'],
    ['is not JSON', { 'tokenizer.json': '{' }, 'TANDEM_TOKENIZER_INVALID', 'JSON'],
    [
      'lacks the end of text',
      { 'vocab.json': Object.fromEntries(ids), 'merges.txt': '' },
      'TANDEM_TOKENIZER_INVALID',
      'endoftext',
    ],
    ['lacks a byte', { 'vocab.json': { a: 0 }, 'merges.txt': '' }, 'TANDEM_TOKENIZER_INVALID', 'no "'],
    [
      'has a merge of three',
      { 'vocab.json': Object.fromEntries(ids), 'merges.txt': 'a b c' },
      'TANDEM_TOKENIZER_INVALID',
      'a b c',
    ],
    [
      'is not of bytes',
      { 'vocab.json': { ...Object.fromEntries([...ids, ...special]), '▁the': 300 }, 'merges.txt': '' },
      'TANDEM_TOKENIZER_INVALID',
      '▁',
    ],
    [
      'is of another kind',
      { 'tokenizer.json': { ...tokenizerJson(sample), pre_tokenizer: { type: 'Whitespace' } } },
      'TANDEM_TOKENIZER_INVALID',
      'ByteLevel',
    ],
  ])('say what is wrong where a tokenizer %s', async (_, files, code, message) => {
    await expect(readBytePairTokenizer(write(files))).rejects.toThrowError(
      expect.objectContaining({ code, message: expect.stringContaining(message), remedy: expect.any(String) }),
    );
  });
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatModelDictionary, parseModelDictionary } from '../../src/workload/acceltran-model.js';
import { readModelDictionary } from '../../src/workload/files.js';
import { decodeTransformer, EMBEDDING_LIMITS } from '../../src/workload/flexibert.js';
import { ARCHITECTURE_NAMES, namedArchitecture } from '../../src/workload/named-transformers.js';

const parse = (text: string) => parseModelDictionary(text, 'models/own.json');

describe('model dictionaries', () => {
  it('give layers, heads, hidden sizes and stacks', () => {
    const text = `{"l": 2, "o": [["sa_sdp_16", "sa_wma_16"], ["l_dft_10", "l_dct_10", "c_5_10"]],
      "h": [32, 30], "f": [[64], [64, 48, 16]]}`;
    expect(parse(text)).toEqual({
      name: 'own',
      vocabulary: 30522,
      tokens: 128,
      layers: [
        {
          hidden: 32,
          heads: [
            { kind: 'sdp', dim: 16 },
            { kind: 'wma', dim: 16 },
          ],
          feedForward: [64],
        },
        {
          hidden: 30,
          heads: [
            { kind: 'dft', dim: 10 },
            { kind: 'dct', dim: 10 },
            { kind: 'conv', dim: 10, kernel: 5 },
          ],
          feedForward: [64, 48, 16],
        },
      ],
    });
  });

  it('are written as they are read', () => {
    for (const name of ARCHITECTURE_NAMES) {
      const architecture = namedArchitecture(name);
      expect(parseModelDictionary(formatModelDictionary(architecture), `${name}.json`)).toEqual(architecture);
    }
    expect(formatModelDictionary(namedArchitecture('nano'))).toBe(
      '{"l":1,"o":[["sa_sdp_16","sa_sdp_16"]],"h":[32],"f":[[64]]}\n',
    );
    const numbers = fc.tuple(...EMBEDDING_LIMITS.slice(1).map((limit) => fc.integer({ min: 0, max: limit - 1 })));
    fc.assert(
      fc.property(numbers, (rest) => {
        const architecture = decodeTransformer([5, ...rest]);
        expect(parse(formatModelDictionary(architecture)).layers).toEqual(architecture.layers);
      }),
      { seed: 1, numRuns: 20 },
    );
  });

  it('are read up to their number of layers, as the published "nano" needs', () => {
    const nano = '{"l": 1, "o": [["sa_sdp_16", "sa_sdp_16"], ["sa_sdp_16"]], "h": [32, 32], "f": [[64], [64]]}';
    expect(parse(nano).layers).toEqual([
      { hidden: 32, heads: Array.from({ length: 2 }, () => ({ kind: 'sdp', dim: 16 })), feedForward: [64] },
    ]);
  });

  it.each([
    ['text that is not JSON', 'l: 1', 'TANDEM_CONFIG_SYNTAX', '', '"sa_sdp_64"'],
    ['text that ends early', '{\n  "l": 1,', 'TANDEM_CONFIG_SYNTAX', '', 'not JSON'],
    [
      'keys without quotes',
      `{\n  "l": 2, ${' '.repeat(50)} o: [["sa_sdp_64"]]}`,
      'TANDEM_CONFIG_SYNTAX',
      ':2:',
      'not JSON',
    ],
    ['nothing', '', 'TANDEM_CONFIG_SYNTAX', '', 'not JSON'],
    ['a list', '[1, 2]', 'TANDEM_CONFIG_INVALID', ':1:1', 'mapping'],
    ['a missing list', '{"l": 1, "o": [["sa_sdp_8"]], "h": [8]}', 'TANDEM_CONFIG_INVALID', ':1:1', '"f" is missing'],
    ['another key', dictionary({ n: 3 }), 'TANDEM_UNKNOWN_SETTING', ':1:', '"n"'],
    ['no layers', dictionary({ l: 0 }), 'TANDEM_CONFIG_INVALID', ':1:6', '"l" must be more than 0'],
    ['half a layer', dictionary({ l: 1.5 }), 'TANDEM_CONFIG_INVALID', ':1:6', '"l" must be a whole number'],
    ['layers as text', dictionary({ l: '2' }), 'TANDEM_CONFIG_INVALID', ':1:6', 'a number'],
    [
      'too few hidden sizes',
      dictionary({ h: [16] }),
      'TANDEM_WORKLOAD_INVALID',
      ':1:',
      '"h" has 1 layer, but "l" is 2',
    ],
    ['too few stacks', dictionary({ f: [[8]] }), 'TANDEM_WORKLOAD_INVALID', ':1:', '"f" has 1 layer, but "l" is 2'],
    ['a stack of no width', dictionary({ f: [[8], [8, 0]] }), 'TANDEM_CONFIG_INVALID', ':1:', '"f.1.1"'],
    ['a layer without stacks', dictionary({ f: [[8], []] }), 'TANDEM_CONFIG_INVALID', ':1:', '"f.1"'],
    ['a layer without heads', dictionary({ o: [['sa_sdp_16'], []] }), 'TANDEM_CONFIG_INVALID', ':1:', '"o.1"'],
    ['a hidden size of 0', dictionary({ h: [16, 0] }), 'TANDEM_CONFIG_INVALID', ':1:', '"h.1"'],
    [
      'heads that do not share the hidden size',
      dictionary({ o: [['sa_sdp_16'], ['sa_sdp_16', 'sa_sdp_16']] }),
      'TANDEM_WORKLOAD_INVALID',
      ':1:28',
      '2 heads share a hidden size of 16: 8 each',
    ],
    [
      'a number of heads that does not divide the hidden size',
      dictionary({ o: [['sa_sdp_16'], ['sa_sdp_5', 'sa_sdp_5', 'sa_sdp_5']] }),
      'TANDEM_WORKLOAD_INVALID',
      ':1:27',
      '3 heads do not divide a hidden size of 16',
    ],
    [
      'more heads than columns',
      dictionary({ o: [['sa_sdp_16'], Array.from({ length: 17 }, () => 'sa_sdp_1')] }),
      'TANDEM_WORKLOAD_INVALID',
      ':1:27',
      '17 heads do not fit a hidden size of 16',
    ],
    [
      'an unknown head',
      dictionary({ o: [['sa_spd_16'], ['sa_sdp_16']] }),
      'TANDEM_WORKLOAD_INVALID',
      ':1:14',
      'Did you mean "sa_sdp_16"?',
    ],
    ['a kernel of 0', dictionary({ o: [['c_0_16'], ['c_5_16']] }), 'TANDEM_WORKLOAD_INVALID', ':1:14', '"c_0_16"'],
    ['a head that is no text', dictionary({ o: [[7], ['c_5_16']] }), 'TANDEM_CONFIG_INVALID', ':1:14', '"o.0.0"'],
  ])('are refused with %s', (_, text, code, place, said) => {
    const error = caught(() => parse(text));
    expect(error).toMatchObject({ code, remedy: expect.any(String) });
    expect(error.place).toContain(`models/own.json${place}`);
    expect(`${error.message} ${error.remedy}`).toContain(said);
  });
});

describe('files of model dictionaries', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tandem-dictionary-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('name their architecture', () => {
    const path = join(folder, 'bert-tiny.json');
    writeFileSync(path, formatModelDictionary(namedArchitecture('bert-tiny')));
    expect(readModelDictionary(path)).toEqual(namedArchitecture('bert-tiny'));
  });

  it('are reported when they are not there', () => {
    expect(caught(() => readModelDictionary(join(folder, 'none.json')))).toMatchObject({
      code: 'TANDEM_FILE_NOT_FOUND',
    });
  });
});

/** Two layers of one head in 16, with changes. */
function dictionary(change: object): string {
  return JSON.stringify({ l: 2, o: [['sa_sdp_16'], ['c_5_16']], h: [16, 16], f: [[8], [8]], ...change });
}

function caught(action: () => unknown): { code: string; message: string; place?: string; remedy?: string } {
  try {
    action();
  } catch (error) {
    return error as { code: string; message: string };
  }
  throw new Error('nothing was thrown');
}

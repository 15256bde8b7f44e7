import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { TandemError } from '../../src/errors.js';
import { attentionGemms } from '../../src/workload/attention.js';
import { readScaleSimConfig, readTopology } from '../../src/workload/files.js';
import { parseScaleSimConfig } from '../../src/workload/scale-sim-config.js';

const TEXT = `[general]
run_name = tiny

[architecture_presets]
ArrayHeight:    32
ArrayWidth:     16
IfmapSramSzkB:    64
FilterSramSzkB:   128
OfmapSramSzkB:    256
IfmapOffset:    0
FilterOffset:   10000000
OfmapOffset:    20000000
Bandwidth : 10, 20
Dataflow : ws
MemoryBanks:   1

[run_presets]
InterfaceBandwidth: CALC
`;

function failure(text: string): TandemError {
  try {
    parseScaleSimConfig(text, 'scale.cfg');
  } catch (error) {
    return error as TandemError;
  }
  throw new Error('nothing was thrown');
}

describe('a SCALE-Sim architecture file', () => {
  test('is read, whatever the case of its keys', () => {
    const expected = {
      runName: 'tiny',
      arrayHeight: 32,
      arrayWidth: 16,
      ifmapSramKilobytes: 64,
      filterSramKilobytes: 128,
      ofmapSramKilobytes: 256,
      dataflow: 'ws',
      bandwidthWordsPerCycle: undefined,
    };
    expect(parseScaleSimConfig(TEXT, 'scale.cfg')).toEqual(expected);
    expect(parseScaleSimConfig(TEXT.replace('IfmapSramSzkB:', 'ifmapsramszkB ='), 'scale.cfg')).toEqual(expected);
  });

  test('gives its smallest bandwidth when the user sets one', () => {
    expect(parseScaleSimConfig(TEXT.replace('CALC', 'USER'), 'scale.cfg').bandwidthWordsPerCycle).toBe(10);
  });

  test.each([
    ['no array', TEXT.replace(/ArrayHeight.*\n/, ''), 'TANDEM_CONFIG_INVALID', 'scale.cfg'],
    ['an array of no rows', TEXT.replace('32', '0'), 'TANDEM_CONFIG_INVALID', 'scale.cfg:5'],
    ['an unknown dataflow', TEXT.replace(': ws', ': rs'), 'TANDEM_CONFIG_INVALID', 'scale.cfg:14'],
    ['an unknown mode', TEXT.replace('CALC', 'GUESS'), 'TANDEM_CONFIG_INVALID', 'scale.cfg:18'],
    ['sparsity', `${TEXT}\n[sparsity]\nSparsitySupport: true\n`, 'TANDEM_CONFIG_INVALID', 'scale.cfg:21'],
    ['a key given twice', TEXT.replace('ArrayWidth', 'ArrayHeight'), 'TANDEM_CONFIG_SYNTAX', 'scale.cfg:6'],
    ['a line that is no setting', TEXT.replace('ArrayHeight:', 'ArrayHeight'), 'TANDEM_CONFIG_SYNTAX', 'scale.cfg:5'],
    ['a setting before any section', `x = 1\n${TEXT}`, 'TANDEM_CONFIG_SYNTAX', 'scale.cfg:1'],
  ])('%s is an error at its line', (_what, text, code, place) => {
    const error = failure(text);
    expect([error.code, error.place]).toEqual([code, place]);
    expect(error.remedy).toBeTruthy();
  });
});

test('files are read from disk, and a missing one is named', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-'));
  try {
    writeFileSync(join(folder, 'scale.cfg'), TEXT);
    writeFileSync(join(folder, 'net.csv'), 'Layer,M,N,K\na,1,2,3\n');
    expect(readScaleSimConfig(join(folder, 'scale.cfg')).arrayWidth).toBe(16);
    expect(readTopology(join(folder, 'net.csv'))).toEqual([{ name: 'a', m: 1, n: 2, k: 3 }]);
    expect(() => readTopology(join(folder, 'none.csv'))).toThrow(/none\.csv/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('dense attention is two products', () => {
  expect(attentionGemms({ queries: 7, keys: 9, headDim: 64, valueDim: 32 }, 'layer 1')).toEqual([
    { name: 'layer 1.scores', m: 7, n: 9, k: 64 },
    { name: 'layer 1.output', m: 7, n: 32, k: 9 },
  ]);
});

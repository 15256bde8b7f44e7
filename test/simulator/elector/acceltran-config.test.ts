import { describe, expect, test } from 'vitest';
import { TandemError } from '../../../src/errors.js';
import { parseAccelTranConfig } from '../../../src/simulator/elector/acceltran-config.js';
import { ACCELTRAN_EDGE, preset } from './presets.js';

function failure(yaml: string): TandemError {
  try {
    parseAccelTranConfig(yaml, 'edge.yaml');
  } catch (cause) {
    if (cause instanceof TandemError) return cause;
  }
  throw new Error('no coded error');
}

describe('an accelerator configuration of AccelTran', () => {
  test('describes the machine that the preset does', () => {
    const { mode, phase, sparsity, sparsityModules, powerGating, mainMemory, ...edge } = preset('elector-edge');
    expect(parseAccelTranConfig(ACCELTRAN_EDGE, 'edge.yaml')).toEqual(edge);
  });

  test('need not say the bandwidth', () => {
    const config = parseAccelTranConfig(ACCELTRAN_EDGE.replace(/ {2}mode: .*\n/, ''), 'edge.yaml');
    expect(config.memory).toBe('dram-32-2-1');
  });

  test.each([
    ['an unknown key', 'pe: 64', 'pes: 64', 'TANDEM_UNKNOWN_SETTING', 'edge.yaml:6:1', /Did you mean "pe"/],
    ['text for a number', 'pe: 64', 'pe: many', 'TANDEM_CONFIG_INVALID', 'edge.yaml:6:5', /processing elements/],
    ['no softmax units', /softmax_per_pe: 4\n/, '', 'TANDEM_CONFIG_INVALID', 'edge.yaml:2:1', /softmax units in a PE/],
    ['no lanes', 'lanes_per_pe: 16', 'lanes_per_pe: 0', 'TANDEM_CONFIG_INVALID', 'edge.yaml:7:15', /MAC lanes in a PE/],
    ['an unknown memory', 'banks: 32', 'banks: 31', 'TANDEM_CONFIG_INVALID', 'edge.yaml:16:3', /16, 2, 2; 8, 2, 4/],
    ['a bandwidth it has not', 'mode: lb', 'mode: hb', 'TANDEM_CONFIG_INVALID', 'edge.yaml:17:9', /DRAM has the low/],
    ['no such order', 'b_i_j_k', 'b_i_j', 'TANDEM_CONFIG_INVALID', 'edge.yaml:14:17', /b_i_j_k/],
    ['whole operations', 'tiled: true', 'tiled: false', 'TANDEM_CONFIG_INVALID', 'edge.yaml:22:25', /true/],
    ['broken YAML', 'tile:', 'tile: [', 'TANDEM_CONFIG_SYNTAX', /edge\.yaml:/, /.*/],
  ])('with %s is refused at its place', (_what, from, to, code, place, remedy) => {
    const error = failure(ACCELTRAN_EDGE.replace(from, to));
    expect(error.code).toBe(code);
    if (typeof place === 'string') expect(error.place).toBe(place);
    else expect(error.place).toMatch(place);
    expect(error.remedy ?? '').toMatch(remedy);
  });
});

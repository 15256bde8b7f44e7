import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { TandemError } from '../../src/errors.js';
import { presetNames, readPreset } from '../../src/hardware/preset-files.js';
import { parsePreset, presetConfig, technologySchema } from '../../src/hardware/presets.js';

const TEXT = `machine: toy
name: toy-one
description: A toy.
source: the test
technology:
  nodeNanometres: { value: 65, source: "TSMC 65 nm", certainty: published }
  voltage: 1.0
  clockHertz: 8.0e8
config:
  lanes: { value: 4, source: a guess, certainty: assumed, unit: lanes }
  buffer:
    bytes: 1024
`;
const schema = z.strictObject({
  technology: technologySchema,
  lanes: z.number().int().positive(),
  buffer: z
    .strictObject({ bytes: z.number().int().positive(), banks: z.number().int().default(1) })
    .prefault({ bytes: 1 }),
});

function failure(action: () => unknown): TandemError {
  try {
    action();
  } catch (error) {
    return error as TandemError;
  }
  throw new Error('nothing was thrown');
}

describe('a preset', () => {
  test('gives a machine plain numbers with the technology among them, and defaults filled in', () => {
    expect(presetConfig(parsePreset(TEXT, 'toy.yaml'), schema)).toEqual({
      technology: { nodeNanometres: 65, voltage: 1, clockHertz: 800e6 },
      lanes: 4,
      buffer: { bytes: 1024, banks: 1 },
    });
  });

  test('keeps where its numbers come from', () => {
    expect(parsePreset(TEXT, 'toy.yaml').provenance).toEqual([
      { name: 'toy-one.technology.nodeNanometres', value: 65, unit: '', source: 'TSMC 65 nm', certainty: 'published' },
      { name: 'toy-one.config.lanes', value: 4, unit: 'lanes', source: 'a guess', certainty: 'assumed' },
    ]);
  });

  test.each([
    [
      'a duplicate key',
      TEXT.replace('  voltage: 1.0', '  voltage: 1.0\n  voltage: 1.1'),
      'TANDEM_CONFIG_SYNTAX',
      'toy.yaml:8:3',
    ],
    ['broken YAML', TEXT.replace('{ value: 4', '{ value: [4'), 'TANDEM_CONFIG_SYNTAX', /toy\.yaml:1[01]:/],
    ['an unknown key', TEXT.replace('voltage', 'volts'), 'TANDEM_UNKNOWN_SETTING', 'toy.yaml:7:3'],
    ['a missing key', TEXT.replace('machine: toy\n', ''), 'TANDEM_CONFIG_INVALID', 'toy.yaml:1:1'],
    ['an impossible node', TEXT.replace('65, source', '3, source'), 'TANDEM_CONFIG_INVALID', 'toy.yaml:6:19'],
    [
      'an unknown certainty',
      TEXT.replace('certainty: assumed', 'certainty: hoped'),
      'TANDEM_CONFIG_INVALID',
      'toy.yaml:10:50',
    ],
    ['a name with spaces', TEXT.replace('toy-one', 'Toy One'), 'TANDEM_CONFIG_INVALID', 'toy.yaml:2:7'],
    [
      'a technology inside config',
      TEXT.replace('  buffer:', '  technology: {}\n  buffer:'),
      'TANDEM_CONFIG_INVALID',
      'toy.yaml:11:3',
    ],
  ])('%s is an error at its place', (_what, yaml, code, place) => {
    const error = failure(() => parsePreset(yaml, 'toy.yaml'));
    expect(error.code).toBe(code);
    expect(error.place).toMatch(place instanceof RegExp ? place : new RegExp(`^${place.replaceAll('.', '\\.')}$`));
    expect(error.remedy).toBeTruthy();
  });

  test('suggests the nearest setting', () => {
    const error = failure(() => parsePreset(TEXT.replace('voltage', 'voltge'), 'toy.yaml'));
    expect(error.message).toContain('technology.voltge');
    expect(error.remedy).toContain('Did you mean "voltage"?');
  });

  test('a machine’s own complaint points into the file too', () => {
    const wrong = parsePreset(TEXT.replace('bytes: 1024', 'bytes: 0'), 'toy.yaml');
    const error = failure(() => presetConfig(wrong, schema));
    expect(error.place).toBe('toy.yaml:12:12');
    expect(error.message).toContain('buffer.bytes');
    const unknown = parsePreset(TEXT.replace('bytes: 1024', 'bytes: 1\n    bank: 2'), 'toy.yaml');
    expect(failure(() => presetConfig(unknown, schema)).place).toBe('toy.yaml:13:5');
    expect(failure(() => presetConfig(unknown, schema)).remedy).toContain('Did you mean "banks"?');
  });
});

describe('the presets that come with Tandem', () => {
  test.each(presetNames())('%s parses, and its name is its file’s', (name) => {
    expect(readPreset(name).name).toBe(name);
  });

  test('an unknown name suggests the nearest, an absent file says so', () => {
    expect(failure(() => readPreset('systolic-32x32-wss')).message).toContain('"systolic-32x32-ws"');
    expect(failure(() => readPreset('nowhere/mine.yaml')).code).toBe('TANDEM_FILE_NOT_FOUND');
  });
});

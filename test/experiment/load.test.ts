import { describe, expect, it } from 'vitest';
import { TandemError } from '../../src/errors.js';
import { type LoadOptions, loadExperiment, parseExperiment, requireClassification } from '../../src/experiment/load.js';
import { InvalidSettings } from '../../src/settings/validate.js';
import { EXPERIMENT, scratchFolder } from './scratch.js';

const load = (text: string | Uint8Array, options?: LoadOptions) =>
  requireClassification(
    parseExperiment(typeof text === 'string' ? new TextEncoder().encode(text) : text, 'e.yaml', options),
  );

function failure(text: string | Uint8Array, options?: LoadOptions): TandemError {
  try {
    load(text, options);
  } catch (error) {
    expect(error).toBeInstanceOf(TandemError);
    return error as TandemError;
  }
  throw new Error('the experiment loaded');
}

describe('a valid experiment file', () => {
  it('is complete: what was not written has its default', () => {
    const { experiment } = load(EXPERIMENT);
    expect(experiment).toMatchObject({
      name: 'example',
      seed: 1,
      model: { name: 'use-lite' },
      task: { dataset: 'spam-assassin', maxTokens: 128, train: 64 },
      training: { batchSize: 16, schedule: 'linear', accumulate: 1 },
      technique: { name: 'leopard', queryKeyBits: 12, granularity: 'layer' },
      trace: { sequences: 'all' },
      runtime: { executionProviders: ['cpu'] },
    });
    expect(experiment.task.test).toBeUndefined();
  });

  it('resolves presets, with its changes, to configurations', () => {
    const [machine] = load(EXPERIMENT).machines;
    expect(machine).toMatchObject({
      name: 'systolic-32x32-ws',
      machine: 'systolic',
      config: { array: { rows: 16, columns: 32 } },
    });
  });

  it('takes changes from the command line, typed by the schema', () => {
    const settings = ['training.steps=7', 'runtime.executionProviders=cuda,cpu', 'trace.sequences=3', 'name=123'];
    const { experiment } = load(EXPERIMENT, { settings });
    expect(experiment).toMatchObject({
      training: { steps: 7 },
      runtime: { executionProviders: ['cuda', 'cpu'] },
      trace: { sequences: 3 },
      name: '123',
    });
  });

  it('gives two machines of one name two names', () => {
    const twice = EXPERIMENT.concat('  - preset: systolic-32x32-ws\n');
    expect(load(twice).machines.map(({ name }) => name)).toEqual(['systolic-32x32-ws', 'systolic-32x32-ws-2']);
  });

  it('may begin with a byte-order mark and end lines as Windows does', () => {
    expect(load(`\ufeff${EXPERIMENT.replaceAll('\n', '\r\n')}`).experiment.name).toBe('example');
  });
});

describe('a file that is not YAML', () => {
  it.each([
    ['a duplicate key', EXPERIMENT.replace('name: example', 'name: example\nname: other'), 'e.yaml:3:1', 'twice'],
    ['a tab', EXPERIMENT.replace('  dataset', '\tdataset'), 'e.yaml:6:1', 'tab'],
    ['an unclosed list', 'tandem: [1\n', 'e.yaml:', ''],
    ['two documents', `${EXPERIMENT}---\nname: b\n`, 'e.yaml:', 'more than one'],
    ['an unknown tag', EXPERIMENT.replace('1', '!!python/object 1'), 'e.yaml:1:9', 'tag'],
    ['an unknown alias', EXPERIMENT.replace('example', '*nowhere'), 'e.yaml', 'nowhere'],
  ])('%s is a syntax error with its place', (_, text, place, message) => {
    const error = failure(text);
    expect(error.code).toBe('TANDEM_CONFIG_SYNTAX');
    expect(error.place).toContain(place);
    expect(error.message).toContain(message);
    expect(error.remedy).toBeTruthy();
  });

  it('refuses aliases that expand without end', () => {
    const levels = Array.from({ length: 9 }, (_, i) => `l${i + 1}: &l${i + 1} [${`*l${i},`.repeat(9)}]`);
    const error = failure(`l0: &l0 [x]\n${levels.join('\n')}\n`);
    expect(error.code).toBe('TANDEM_CONFIG_SYNTAX');
    expect(error.remedy).toContain('aliases');
  });

  it('refuses bytes that are no text', () => {
    expect(failure(Uint8Array.of(0x74, 0xff, 0xfe, 0x00)).message).toContain('UTF-8');
  });

  it.each(['', '# only a comment\n', '3\n', '- a\n'])('refuses %j, which is no mapping', (text) => {
    expect(failure(text)).toMatchObject({
      code: 'TANDEM_CONFIG_INVALID',
      place: expect.stringMatching(/^e\.yaml:1:1/),
    });
  });
});

describe('a wrong setting', () => {
  it.each([
    ['an unknown key', ['train: 64', 'trian: 64'], 'TANDEM_UNKNOWN_SETTING', '7:3', 'Did you mean "train"?'],
    [
      'an unknown top-level key',
      ['name: example', 'name: example\nsede: 1'],
      'TANDEM_UNKNOWN_SETTING',
      '3:1',
      '"seed"',
    ],
    [
      'an unknown option of a technique',
      ['queryKeyBits', 'queryBits'],
      'TANDEM_UNKNOWN_SETTING',
      '10:3',
      'queryKeyBits',
    ],
    ['a wrong type', ['train: 64', 'train: many'], 'TANDEM_CONFIG_INVALID', '7:10', 'train: examples'],
    ['a number out of range', ['train: 64', 'train: -1'], 'TANDEM_CONFIG_INVALID', '7:10', ''],
    [
      'an unknown data set',
      ['spam-assassin', 'spam-asassin'],
      'TANDEM_UNKNOWN_NAME',
      '6:12',
      'Did you mean "spam-assassin"?',
    ],
    ['an unknown model', ['use-lite', 'uselite'], 'TANDEM_UNKNOWN_NAME', '4:9', '"use-lite"'],
    [
      'an unknown technique',
      ['name: leopard', 'name: lepard'],
      'TANDEM_UNKNOWN_NAME',
      '9:9',
      'Did you mean "leopard"?',
    ],
    [
      'an unknown preset',
      ['preset: systolic-32x32-ws', 'preset: systolic-32x32'],
      'TANDEM_UNKNOWN_NAME',
      '12:13',
      'systolic-32x32-ws',
    ],
    [
      'an unknown path in set',
      ['array.rows', 'array.row'],
      'TANDEM_UNKNOWN_SETTING',
      '13:12',
      'Did you mean "array.rows"?',
    ],
    ['a wrong value in set', ['array.rows: 16', 'array.rows: x'], 'TANDEM_CONFIG_INVALID', '13:', ''],
    ['a future version', ['tandem: 1', 'tandem: 2'], 'TANDEM_CONFIG_INVALID', '1:9', 'Use one of: 1'],
    ['a missing setting', ['  dataset: spam-assassin\n', ''], 'TANDEM_CONFIG_INVALID', '5:', 'Use one of: '],
    ['a name that is a path', ['name: example', 'name: ../example'], 'TANDEM_CONFIG_INVALID', '2:7', 'letters'],
    ['a null', ['train: 64', 'train:'], 'TANDEM_CONFIG_INVALID', '7:', ''],
  ] as const)('%s is reported with place and remedy', (_, [from, to], code, place, remedy) => {
    const error = failure(EXPERIMENT.replace(from, to));
    expect(error).toMatchObject({ code, place: expect.stringMatching(new RegExp(`^e\\.yaml:${place}`)) });
    expect(error.remedy).toContain(remedy);
    expect(error.exitCode).toBe(2);
  });

  it('does not hide behind the first one: all are reported', () => {
    const error = failure(EXPERIMENT.replace('train: 64', 'trian: 64').replace('queryKeyBits: 12', 'queryKeyBits: 99'));
    expect(error).toBeInstanceOf(InvalidSettings);
    expect((error as InvalidSettings).problems.map(({ place }) => place)).toEqual(
      expect.arrayContaining(['e.yaml:7:3', 'e.yaml:10:17']),
    );
  });

  it('wants a machine by preset or by name, not both', () => {
    const both = failure(EXPERIMENT.replace('set: { array.rows: 16 }', 'machine: systolic'));
    expect(both.message).toContain('exactly one');
    expect(both.place).toBe('e.yaml:12:5');
  });
});

describe('--set', () => {
  const decoding =
    'tandem: 1\nname: d\ndecoder: { name: gpt2, pretrained: gpt-12x128 }\ntext: { corpora: [moby-dick] }\ntechnique: { name: toex }\n';

  it.each([
    ['0.5', 0.5],
    ['0.5,0.25', [0.5, 0.25]],
    ['[0.5]', [0.5]],
  ])('of what may be a number or a list takes %s as it looks', (text, threshold) => {
    const { experiment } = parseExperiment(Buffer.from(decoding), 'd.yaml', {
      settings: [`technique.threshold=${text}`],
    });
    expect(experiment.technique).toMatchObject({ threshold });
  });

  it.each([
    ['training.step=3', 'TANDEM_UNKNOWN_SETTING', 'Did you mean "training.steps"?'],
    ['zzz=3', 'TANDEM_UNKNOWN_SETTING', 'Allowed here: '],
    ['training.steps=soon', 'TANDEM_CONFIG_INVALID', 'steps: '],
    ['training.schedule=linaer', 'TANDEM_CONFIG_INVALID', 'Did you mean "linear"?'],
    ['training.steps', 'TANDEM_USAGE', 'path=value'],
    ['machines.7.name=x', 'TANDEM_CONFIG_INVALID', 'counted from 0'],
    ['__proto__.polluted=1', 'TANDEM_UNKNOWN_SETTING', ''],
  ])('%s is refused at the command line', (setting, code, remedy) => {
    const error = failure(EXPERIMENT, { settings: [setting] });
    expect(error).toMatchObject({ code, place: `--set ${setting}` });
    expect(error.remedy).toContain(remedy);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});

describe('files', () => {
  it('that do not exist are named', async () => {
    await expect(loadExperiment('/nowhere/e.yaml')).rejects.toMatchObject({
      code: 'TANDEM_FILE_NOT_FOUND',
      exitCode: 2,
    });
  });

  it('that are folders are refused', async () => {
    await expect(loadExperiment(scratchFolder())).rejects.toMatchObject({ code: 'TANDEM_FILE_UNREADABLE' });
  });
});

/** The published simulators of ELECTOR from the command line. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { scratchFile, scratchFolder } from '../experiment/scratch.js';
import { ACCELTRAN_EDGE } from '../simulator/elector/presets.js';
import { tandem } from './tandem.js';

const FAST = ['--set', 'mode=published-fast'];
const TRANSFORMER = [0, 0, 204, 14441, 2, 141, 7489, ...Array.from({ length: 30 }, () => 0)];
const ACCELERATOR = [4, 16, 16, 1024, 32, 16, 2, 4, 16, 64, 2, 8];

const simulate = (...args: string[]) => tandem('simulate', ...args, '--format', 'json');

describe('tandem simulate on elector', () => {
  it('plays BERT-Tiny on the edge machine as the published closed form does', async () => {
    const { code, stdout } = await simulate(
      ...['--machine', 'elector', '--preset', 'edge', ...FAST, '--model', 'flexibert:bert-tiny'],
    );
    expect(code).toBe(0);
    const result = JSON.parse(stdout);
    expect(result).toMatchObject({ name: 'elector-edge', machine: 'elector', cycles: 167_596 });
    expect(result.areaSquareMillimetres).toBeCloseTo(54.06426665, 8);
    expect(result.layers.map(({ layer }: { layer: string }) => layer)).toEqual(['embeddings', 'layer 0', 'layer 1']);
    const { energy } = result;
    expect(energy.map(({ component }: { component: string }) => component)).toContain('main memory');
  });

  it('plays it as the published cycle-accurate simulator does, and says what waited', async () => {
    const out = join(scratchFolder(), 'simulation');
    const { code, stdout } = await simulate(
      ...['--machine', 'elector', '--preset', 'edge', '--set', 'mode=published-cycle', '--out', out],
      ...['--model', 'flexibert:nano'],
    );
    expect(code).toBe(0);
    const result = JSON.parse(stdout);
    expect(result.cycles).toBe(15_046);
    expect(Object.values(result.stalls)).toEqual([25740, 2691, 0, 0, 3589, 1255, 218459]);
    expect(result.utilisation['MAC lanes']).toBeCloseTo(0.0175435, 6);
    expect(readFileSync(join(out, 'report.html'), 'utf8')).toContain('elector-edge');
  });

  it('takes 37 numbers, and a model dictionary of AccelTran', async () => {
    const args = ['--preset', 'elector-edge', ...FAST];
    const numbers = await simulate(...args, '--model', `flexibert:[${TRANSFORMER}]`);
    expect(JSON.parse(numbers.stdout).layers).toHaveLength(3);
    const dictionary = { l: 2, o: [0, 1].map(() => ['sa_sdp_64', 'sa_sdp_64']), h: [128, 128], f: [[512], [512]] };
    const file = scratchFile('tiny.json', JSON.stringify(dictionary));
    expect(JSON.parse((await simulate(...args, '--model', file)).stdout).cycles).toBe(167_596);
  });

  it('takes a configuration of AccelTran', async () => {
    const file = scratchFile('mine.yaml', ACCELTRAN_EDGE);
    const { stdout } = await simulate('--config', file, ...FAST, '--model', 'flexibert:bert-tiny');
    expect(JSON.parse(stdout)).toMatchObject({ name: 'mine', machine: 'elector', cycles: 167_596 });
  });

  it('compares the edge machine with the server', async () => {
    const { stdout } = await simulate(
      ...['--machine', 'elector', '--preset', 'edge', '--preset', 'server', ...FAST],
      ...['--model', 'flexibert:bert-tiny'],
    );
    expect(JSON.parse(stdout).map(({ cycles }: { cycles: number }) => cycles)).toEqual([167_596, 14_368]);
  });

  it('says what does not fit, and what would', async () => {
    const args = ['--preset', 'elector-nano', ...FAST, '--model', 'flexibert:nano'];
    const { code, stderr } = await tandem('simulate', ...args);
    expect(code).toBe(3);
    expect(stderr).toMatch(/^TANDEM_INFEASIBLE: .*embeddings/);
    expect(stderr).toContain('buffers.weightMegabytes ≥ 1.17');
  });

  it.each([
    ['an unknown name', ['--preset', 'elector-edge', '--model', 'flexibert:bert-tinny'], 'TANDEM_UNKNOWN_NAME', 2],
    ['a model that has no shape', ['--preset', 'elector-edge', '--model', 'bert-tiny'], 'TANDEM_UNKNOWN_NAME', 2],
    ['numbers that are no list', ['--preset', 'elector-edge', '--model', 'flexibert:[1,'], 'TANDEM_CONFIG_INVALID', 2],
    ['too few numbers', ['--preset', 'elector-edge', '--model', 'flexibert:[1]'], 'TANDEM_CONFIG_INVALID', 2],
    ['a preset that is not there', ['--machine', 'elector', '--preset', 'egde'], 'TANDEM_UNKNOWN_NAME', 2],
    ['a transformer on another machine', ['--machine', 'leopard'], 'TANDEM_CONFIG_INVALID', 2],
    ['AccelTran’s file for another machine', ['--machine', 'systolic', '--config', 'x.yaml'], 'TANDEM_USAGE', 2],
    ['a file that is not there', ['--config', '/nowhere/x.yaml'], 'TANDEM_FILE_NOT_FOUND', 2],
  ])('refuses %s', async (_what, args, error, exit) => {
    const model = args.includes('--model') ? [] : ['--model', 'flexibert:nano'];
    const { code, stdout, stderr } = await tandem('simulate', ...args, ...model);
    expect({ code, stdout, error: stderr.split(':')[0] }).toEqual({ code: exit, stdout: '', error });
    expect(stderr).toContain('  fix  ');
  });
});

describe('tandem simulate --pairs', () => {
  const line = (accelerator: unknown = ACCELERATOR, transformer: unknown = TRANSFORMER) =>
    JSON.stringify({ accelerator, transformer });
  const pairs = (...lines: string[]) => scratchFile('pairs.jsonl', `${lines.join('\n')}\n`);
  /** A weight buffer of 16 MB and a first layer of 512. */
  const tooSmall = line([4, 16, 16, 256, 128, 16, 32, 32, 64, 16, 8, 6], TRANSFORMER.with(1, 2));

  it('prints a result for each line, those that do not fit among them', async () => {
    const file = pairs(line(), tooSmall, line([1, 16, 16, 128, 64, 1, 64, 4, 64, 64, 8, 4]));
    const { code, stdout } = await tandem('simulate', '--machine', 'elector', ...FAST, '--pairs', file);
    expect(code).toBe(0);
    const [first, second, third, ...rest] = stdout
      .trimEnd()
      .split('\n')
      .map((text) => JSON.parse(text));
    expect(rest).toEqual([]);
    expect(first).toMatchObject({ accelerator: ACCELERATOR, transformer: TRANSFORMER, feasible: true });
    expect(first.cycles).toBe(2_381_743);
    expect(first.areaSquareMillimetres).toBeCloseTo(931.523012, 6);
    expect(first.energy['MAC lanes'].dynamicPicojoules / 1e3).toBeCloseTo(338813174.603, 2);
    expect(second).toMatchObject({
      feasible: false,
      bound: 16,
      levers: expect.arrayContaining([expect.stringContaining('weightMegabytes')]),
    });
    expect(third.cycles).toBe(89_180_993);
  });

  it('reads files of Windows: a byte order mark, CRLF, no end of line at the end', async () => {
    const file = scratchFile('windows.jsonl', `\uFEFF${line()}\r\n${line()}`);
    const { code, stdout } = await tandem('simulate', ...FAST, '--pairs', file);
    expect({ code, lines: stdout.trimEnd().split('\n').length }).toEqual({ code: 0, lines: 2 });
  });

  it('says what to write in the place of a line that is no pair', async () => {
    const refused = async (text: string) => (await tandem('simulate', ...FAST, '--pairs', pairs(text))).stderr;
    expect(await refused('')).toContain('The line is blank.');
    for (const text of ['', '[[], []]', 'null']) expect(await refused(text)).toContain('{"accelerator": [12 numbers]');
  });

  it.each([
    ['that is not JSON', '{"accelerator": [', 'TANDEM_CONFIG_SYNTAX', 2],
    ['that is empty', '', 'TANDEM_CONFIG_SYNTAX', 2],
    ['that holds a list', '[[], []]', 'TANDEM_CONFIG_INVALID', 2],
    ['that holds nothing', 'null', 'TANDEM_CONFIG_INVALID', 2],
    ['with another key', '{"accelerators": [], "transformer": []}', 'TANDEM_UNKNOWN_SETTING', 2],
    ['without the transformer', '{"accelerator": []}', 'TANDEM_CONFIG_INVALID', 2],
    ['with an impossible accelerator', line(ACCELERATOR.with(4, 7)), 'TANDEM_CONFIG_INVALID', 2],
    ['with an impossible transformer', line(ACCELERATOR, TRANSFORMER.with(1, 9)), 'TANDEM_CONFIG_INVALID', 2],
  ])('refuses a line %s before anything is simulated', async (_what, broken, error, exit) => {
    const file = pairs(line(), line(), broken, line());
    const { code, stdout, stderr } = await tandem('simulate', ...FAST, '--pairs', file);
    expect({ code, stdout, error: stderr.split(':')[0] }).toEqual({ code: exit, stdout: '', error });
    expect(stderr).toContain(`${file}:3`);
  });

  it.each([
    ['a file that is not there', ['--pairs', '/nowhere.jsonl'], 'TANDEM_FILE_NOT_FOUND'],
    ['a folder', ['--pairs', 'FOLDER'], 'TANDEM_FILE_UNREADABLE'],
    ['a file without pairs', ['--pairs', 'EMPTY'], 'TANDEM_WORKLOAD_INVALID'],
    ['another machine', ['--machine', 'systolic', '--pairs', 'PAIRS'], 'TANDEM_USAGE'],
    ['another format', ['--pairs', 'PAIRS', '--format', 'csv'], 'TANDEM_USAGE'],
    ['what the pairs say themselves', ['--pairs', 'PAIRS', '--set', 'pes=64'], 'TANDEM_UNKNOWN_SETTING'],
  ])('refuses %s', async (_what, args, error) => {
    const files: Record<string, string> = {
      PAIRS: pairs(line()),
      EMPTY: scratchFile('empty.jsonl', ''),
      FOLDER: scratchFolder(),
    };
    const { stdout, stderr } = await tandem('simulate', ...args.map((arg) => files[arg] ?? arg));
    expect({ stdout, error: stderr.split(':')[0] }).toEqual({ stdout: '', error });
  });
});

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeTrace } from '../../src/trace/files.js';
import { EXPERIMENT, scratchFile, scratchFolder } from '../experiment/scratch.js';
import { gaussianHead, header } from '../simulator/heads.js';
import { tandem } from './tandem.js';

const GEMMS = 'Layer,M,N,K,\nqkv,128,384,128,\nscores,128,128,64,\n';
const gemms = () => scratchFile('layers.csv', GEMMS);

async function trace(tokens = 8): Promise<string> {
  const path = join(scratchFolder(), 'run.trace');
  await writeTrace(path, { ...header, sequences: 1 }, [gaussianHead({ tokens, pruned: 0.7 })]);
  return path;
}

describe('tandem', () => {
  it('prints version and help on standard output', async () => {
    expect(await tandem('--version')).toEqual({ code: 0, stdout: '0.1.0\n', stderr: '' });
    const { code, stdout } = await tandem('--help');
    expect(code).toBe(0);
    for (const command of ['run', 'train', 'evaluate', 'simulate', 'export', 'trace', 'list', 'schema', 'doctor']) {
      expect(stdout).toContain(`  ${command} `);
    }
    expect((await tandem('simulate', '--help')).stdout).toContain('--preset <name>');
  });

  it('without a command prints help on standard error and fails as a usage error', async () => {
    const { code, stdout, stderr } = await tandem();
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain('Usage: tandem');
  });

  it.each([
    [['simulat'], 'Did you mean simulate?'],
    [['simulate', '--formt', 'json'], 'Did you mean --format?'],
    [['list'], "missing required argument 'kind'"],
    [['list', 'nothing'], 'models, decoders, datasets, corpora, techniques, machines, presets'],
    [['list', 'models', 'datasets'], 'too many arguments'],
    [['simulate', '--set'], 'argument missing'],
    [['simulate', '--gemms', 'a', '--trace', 'b'], 'cannot be used with'],
    [['export', 'runs/x'], 'required option'],
    [['evaluate', 'runs/x', '--examples', '-3'], 'whole number above 0'],
    [['evaluate', 'runs/x', '--threshold', '-0.1'], 'at least 0'],
    [['threshold', 'runs/x'], '--sparsity or --accuracy-loss'],
    [['threshold', 'runs/x', '--sparsity', '0.4', '--accuracy-loss', '0'], 'cannot be used with'],
    [['threshold', 'runs/x', '--sparsity', '40'], 'a share from 0 to 1'],
    [['run'], 'Name an experiment file'],
    [['run', 'e.yaml', '--resume', 'runs/x'], 'Leave the file out'],
    [['simulate', '--machine', 'systolic'], 'nothing to simulate'],
  ])('%j is a usage error that helps', async (args, help) => {
    const { code, stdout, stderr } = await tandem(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^TANDEM_USAGE: /);
    expect(stderr.toLowerCase()).toContain(help.toLowerCase());
  });

  it('prints errors as JSON where results would be JSON', async () => {
    const { stdout, stderr } = await tandem(
      'simulate',
      '--preset',
      'leopard-ea',
      '--gemms',
      gemms(),
      '--format',
      'json',
    );
    expect(stdout).toBe('');
    expect(JSON.parse(stderr)).toEqual({
      error: {
        code: 'TANDEM_UNKNOWN_NAME',
        exit: 2,
        message: expect.stringContaining('Did you mean "leopard-ae"?'),
        place: '--preset leopard-ea',
        remedy: expect.stringContaining('leopard-hp'),
      },
    });
  });
});

describe('tandem list', () => {
  it.each([
    ['models', 'use-lite'],
    ['datasets', 'spam-assassin'],
    ['corpora', 'moby-dick'],
    ['techniques', 'leopard'],
    ['machines', 'systolic'],
    ['presets', 'leopard-ae'],
    ['transformers', 'bert-tiny'],
  ])('%s names %s, in every format', async (kind, name) => {
    expect((await tandem('list', kind)).stdout).toContain(name);
    expect((await tandem('list', kind, '--format', 'csv')).stdout).toMatch(new RegExp(`^${name},`, 'm'));
    const entries = JSON.parse((await tandem('list', kind, '--format', 'json')).stdout) as { name: string }[];
    expect(entries.map((entry) => entry.name)).toContain(name);
  });
});

describe('tandem schema', () => {
  it('prints the JSON Schema of experiment files', async () => {
    const schema = JSON.parse((await tandem('schema')).stdout);
    expect(schema.$schema).toContain('json-schema.org');
    expect(schema.required).toEqual(['tandem', 'name', 'model', 'task', 'technique']);
    expect(schema.properties.task.properties.dataset.enum).toContain('spam-assassin');
  });

  it('prints that of a machine', async () => {
    const schema = JSON.parse((await tandem('schema', 'systolic')).stdout);
    expect(schema.properties.dataflow.enum).toEqual(['os', 'ws', 'is']);
    expect(await tandem('schema', 'sytolic')).toMatchObject({ code: 2, stderr: expect.stringContaining('"systolic"') });
  });
});

describe('tandem doctor', () => {
  it('says of each thing that Tandem needs whether it is there', async () => {
    const { code, stdout } = await tandem('doctor', '--format', 'json');
    const findings = JSON.parse(stdout) as { check: string; status: string; remedy?: string }[];
    expect(findings.map(({ check }) => check)).toEqual(
      expect.arrayContaining(['node', 'onnxruntime', 'model use-lite', 'memory', 'disk', 'wasm simd', 'run folder']),
    );
    for (const { status, remedy } of findings) expect(status === 'ok' || remedy !== undefined).toBe(true);
    expect(code).toBe(findings.some(({ status }) => status === 'fail') ? 1 : 0);
    expect((await tandem('doctor')).stdout).toMatch(/^ok {4}node +Node \d+/m);
  });
});

describe('tandem simulate', () => {
  it('prints totals and layers of a list of matrix products', async () => {
    const set = ['array.rows=32', 'array.columns=32', 'dataflow=ws'].flatMap((setting) => ['--set', setting]);
    const { code, stdout } = await tandem(
      'simulate',
      '--machine',
      'systolic',
      ...set,
      '--gemms',
      gemms(),
      '--format',
      'json',
    );
    expect(code).toBe(0);
    const result = JSON.parse(stdout);
    // SCALE-Sim's weight-stationary count: (2R + C + M − 2) ⌈K/R⌉ ⌈N/C⌉ − 1.
    const cycles = [(64 + 32 + 128 - 2) * 4 * 12 - 1, (64 + 32 + 128 - 2) * 2 * 4 - 1];
    expect(result.layers.map((layer: { layer: string; cycles: number }) => [layer.layer, layer.cycles])).toEqual([
      ['qkv', cycles[0]],
      ['scores', cycles[1]],
    ]);
    expect(result.cycles).toBe(cycles[0]! + cycles[1]!);
    expect(result.layers[0]).toMatchObject({
      ifmapSramReads: 128 * 128 * 12,
      filterSramReads: 128 * 384,
      ofmapSramWrites: 128 * 384 * 4,
      utilisation: (128 * 384 * 128) / (cycles[0]! * 32 * 32),
    });
    expect(result.layers[0].energyPicojoules).toBeGreaterThan(0);
  });

  it('prints the same layers as CSV and as a table', async () => {
    const args = ['simulate', '--machine', 'systolic', '--gemms', gemms()];
    const { stdout } = await tandem(...args, '--format', 'csv');
    expect(stdout).toMatch(/^machine,layer,cycles,/);
    expect(stdout).toMatch(/^systolic,scores,1775,/m);
    expect((await tandem(...args)).stdout).toContain('ifmap reads');
  });

  it('compares presets with the first one', async () => {
    const presets = ['leopard-baseline', 'leopard-ae'].flatMap((preset) => ['--preset', preset]);
    const { stdout } = await tandem('simulate', ...presets, '--trace', await trace(), '--format', 'json');
    const [first, second] = JSON.parse(stdout);
    expect(first).toMatchObject({ name: 'leopard-baseline', speedup: 1, energyRatio: 1, areaRatio: 1 });
    const seconds = ({ cycles, clockHertz }: { cycles: number; clockHertz: number }) => cycles / clockHertz;
    expect(second.speedup).toBeCloseTo(seconds(first) / seconds(second), 12);
    expect(second.energyRatio).toBeCloseTo(first.energyPicojoules / second.energyPicojoules, 12);
    expect(second.constants.length).toBeGreaterThan(0);
  });

  it('plays requests to memory: bandwidth, latencies, row hits, commands and energy', async () => {
    const requests = scratchFile('requests.txt', '0x0 READ 0\n0x100 READ 1\n0x40 WRITE 2\n');
    const args = ['simulate', '--machine', 'dram', '--preset', 'ddr4-3200', '--requests', requests];
    const { code, stdout } = await tandem(...args, '--format', 'json');
    expect(code).toBe(0);
    const result = JSON.parse(stdout);
    // The first read opens its row; the second, in the same row, waits for it.
    expect(result.memory.readLatency).toMatchObject({ least: 22 + 22 + 4, most: 22 + 22 + 4 + 8 - 1 });
    expect(result.memory).toMatchObject({ peakBytesPerSecond: 25.6e9, rowHitShare: 1 / 3 });
    expect(result.counts).toMatchObject({ reads: 2, writes: 1, activates: 2, bytes: 192 });
    expect(result.histograms.readLatency).toHaveLength(2);
    expect(result.energy.map(({ component }: { component: string }) => component)).toContain('refreshes');
    expect((await tandem(...args)).stdout).toContain('25.6 GB/s');
    const [header, all, channel] = (await tandem(...args, '--format', 'csv')).stdout
      .split('\n')
      .map((line) => line.split(','));
    const value = (line: string[], column: string) => line[header!.indexOf(column)];
    expect(Number(value(all!, 'peakBytesPerSecond'))).toBe(25.6e9);
    expect(Number(value(all!, 'readLatency.least'))).toBe(22 + 22 + 4);
    expect(Number(value(all!, 'energyPicojoules.refreshes'))).toBe(
      result.energy.find(({ component }: { component: string }) => component === 'refreshes').dynamicPicojoules,
    );
    expect(value(channel!, 'layer')).toBe('channel 0');
  });

  it('says at which line a file of requests is wrong', async () => {
    const requests = scratchFile('requests.txt', '0x0 READ 0\n0x40 READ never\n');
    const { code, stderr } = await tandem('simulate', '--machine', 'dram', '--requests', requests);
    expect(code).toBe(1);
    expect(stderr).toContain('TANDEM_WORKLOAD_INVALID');
    expect(stderr).toContain('requests.txt:2');
  });

  it('resizes machines to the first one where asked', async () => {
    const args = ['simulate', '--preset', 'spatten', '--preset', 'spatten-1-8', '--trace', await trace()];
    const areas = async (...more: string[]) => {
      const { stdout } = await tandem(...args, ...more, '--format', 'json');
      return JSON.parse(stdout).map((one: { areaRatio: number }) => one.areaRatio);
    };
    const [unequal, equal] = [(await areas())[1], (await areas('--equal', 'area'))[1]];
    expect(Math.abs(Math.log(equal))).toBeLessThan(Math.abs(Math.log(unequal)) / 2);
  });

  it('gives a preset simulated twice two names', async () => {
    const presets = ['--preset', 'leopard-ae', '--preset', 'leopard-ae'];
    const { stdout } = await tandem('simulate', ...presets, '--trace', await trace(), '--format', 'csv');
    expect(stdout).toMatch(/^leopard-ae,true,/m);
    expect(stdout).toMatch(/^leopard-ae-2,true,/m);
  });

  it('prints why a machine cannot run a workload, with exit code 3', async () => {
    const args = ['simulate', '--preset', 'leopard-ae', '--set', 'buffers.keyBytes=16', '--trace', await trace()];
    const table = await tandem(...args);
    expect(table.code).toBe(3);
    expect(table.stdout).toContain('no: ');
    expect(table.stderr).toMatch(
      /^TANDEM_INFEASIBLE: leopard-ae cannot run the workload: .*\n.*\n {2}fix .*buffers\.keyBytes/,
    );
    const { stdout } = await tandem(...args, '--format', 'json');
    expect(JSON.parse(stdout)).toMatchObject({
      feasible: false,
      bound: 16,
      levers: [expect.stringContaining('keyBytes')],
    });
  });

  it('reads the files of SCALE-Sim', async () => {
    const config = scratchFile(
      'scale.cfg',
      `[general]\nrun_name = mine\n[architecture_presets]\nArrayHeight: 8\nArrayWidth: 8\nIfmapSramSzkB: 64\nFilterSramSzkB: 64\nOfmapSramSzkB: 64\nDataflow: os\n[run_presets]\nInterfaceBandwidth: CALC\n`,
    );
    const topology = scratchFile(
      'conv.csv',
      'Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\nConv1, 10, 10, 3, 3, 4, 16, 1,\n',
    );
    const { stdout } = await tandem('simulate', '--config', config, '--topology', topology, '--format', 'json');
    const result = JSON.parse(stdout);
    // As a matrix product: M = 8·8 outputs, N = 16 filters, K = 3·3·4; output-stationary: (R + C + K − 2) ⌈M/R⌉ ⌈N/C⌉ − 1.
    expect(result).toMatchObject({ name: 'mine', cycles: (8 + 8 + 36 - 2) * 8 * 2 - 1 });
    expect(result.configuration.dataflow).toBe('os');
  });

  it('writes a report where it is asked to', async () => {
    const out = join(scratchFolder(), 'simulation');
    const { code } = await tandem('simulate', '--machine', 'systolic', '--gemms', gemms(), '--out', out);
    expect(code).toBe(0);
    expect(readdirSync(out).toSorted()).toEqual(['figures', 'report.html', 'simulation.json']);
  });

  it('replaces an earlier simulation as a whole', async () => {
    const out = join(scratchFolder(), 'simulation');
    const path = await trace();
    await tandem('simulate', '--preset', 'leopard-ae', '--preset', 'leopard-hp', '--trace', path, '--out', out);
    expect(readdirSync(join(out, 'figures'))).toContain('timeline-2-leopard-hp.svg');
    await tandem('simulate', '--preset', 'leopard-ae', '--trace', path, '--out', out);
    expect(readdirSync(join(out, 'figures')).filter((name) => name.includes('leopard-hp'))).toEqual([]);
  });

  it('leaves the report of a run alone', async () => {
    const out = scratchFolder();
    writeFileSync(join(out, 'state.json'), '{ "tandemRun": 1 }');
    const { code, stderr } = await tandem('simulate', '--machine', 'systolic', '--gemms', gemms(), '--out', out);
    expect({ code, error: stderr.split(':')[0] }).toEqual({ code: 2, error: 'TANDEM_RUN_EXISTS' });
    expect(readdirSync(out)).toEqual(['state.json']);
  });

  it.each(['--gemms', '--config'])('refuses bytes that are no text as %s without printing them', async (option) => {
    const file = scratchFile('bytes', '');
    writeFileSync(file, Uint8Array.of(0x1b, 0x5b, 0x32, 0x4a, 0xff, 0xfe));
    const rest = option === '--config' ? ['--gemms', gemms()] : ['--machine', 'systolic'];
    const { code, stderr } = await tandem('simulate', ...rest, option, file);
    expect(code).toBe(1);
    expect(stderr).toContain('not UTF-8 text');
    expect(stderr).not.toContain('\u001b');
  });

  it('does not let a quoted file control the terminal', async () => {
    const file = scratchFile('layers.csv', 'Layer,M,N,\u001b[2J\n');
    const { stderr } = await tandem('simulate', '--machine', 'systolic', '--gemms', file);
    expect(stderr).toMatch(/^TANDEM_WORKLOAD_INVALID/);
    expect(stderr).not.toContain('\u001b');
  });

  it.each([
    ['a missing trace', ['--preset', 'leopard-ae', '--trace', '/nowhere.trace'], 'TANDEM_FILE_NOT_FOUND', 2],
    ['something else than a trace', ['--preset', 'leopard-ae', '--trace', 'GEMMS'], 'TANDEM_NOT_A_TRACE', 1],
    ['a malformed layer list', ['--machine', 'systolic', '--gemms', 'BROKEN'], 'TANDEM_WORKLOAD_INVALID', 1],
    ['a machine for other workloads', ['--machine', 'leopard', '--gemms', 'GEMMS'], 'TANDEM_CONFIG_INVALID', 2],
    [
      'a preset of another machine',
      ['--machine', 'leopard', '--preset', 'systolic-32x32-ws', '--gemms', 'GEMMS'],
      'TANDEM_CONFIG_INVALID',
      2,
    ],
    ['an unknown machine', ['--machine', 'sytolic', '--gemms', 'GEMMS'], 'TANDEM_UNKNOWN_NAME', 2],
    [
      'an unknown setting',
      ['--machine', 'systolic', '--set', 'aray.rows=3', '--gemms', 'GEMMS'],
      'TANDEM_UNKNOWN_SETTING',
      2,
    ],
    [
      'a wrong value',
      ['--machine', 'systolic', '--set', 'array.rows=x', '--gemms', 'GEMMS'],
      'TANDEM_CONFIG_INVALID',
      2,
    ],
  ])('refuses %s', async (_, args, error, exit) => {
    const files: Record<string, string> = {
      GEMMS: gemms(),
      BROKEN: scratchFile('broken.csv', 'Layer,M,N,K\na,1,two,3\n'),
    };
    const { code, stdout, stderr } = await tandem('simulate', ...args.map((arg) => files[arg] ?? arg));
    expect({ code, stdout, error: stderr.split(':')[0] }).toEqual({ code: exit, stdout: '', error });
    expect(stderr).toContain('  at   ');
  });
});

describe('tandem trace show', () => {
  it('shows zeros by matrix, activations and weights apart', async () => {
    const path = join(scratchFolder(), 'masks.trace');
    const mask = { kind: 'mask', sequence: 0, step: 0, layer: 0, phase: 'forward', rows: 2, columns: 4 } as const;
    const nonZero = Uint8Array.of(0b00001111);
    await writeTrace(path, { ...header, sequences: 1 }, [
      { ...mask, matrix: 'ffn.weight.0', tile: [1, 1], nonZero: Uint8Array.of(0b11111111) },
      { ...mask, matrix: 'query', tile: [1, 1], nonZero },
    ]);
    const { stdout } = await tandem('trace', 'show', path);
    expect(stdout).toMatch(/activations +│ 8 elements, of which 4 are zero \(50\.0\s%\)/);
    expect(stdout).toMatch(/weights +│ 8 elements, of which 0 are zero/);
    expect(stdout).toMatch(/forward │ +0 │ query /);
    expect(stdout).not.toContain('survive');
    const { matrices } = JSON.parse((await tandem('trace', 'show', path, '--format', 'json')).stdout);
    expect(matrices[1]).toMatchObject({ layer: 0, matrix: 'query', zeros: 4, elements: 8, sparsity: 0.5 });
    const csv = (await tandem('trace', 'show', path, '--format', 'csv')).stdout;
    expect(csv).toMatch(/^phase,layer,matrix,records,elements,zeros,sparsity\nforward,0,ffn\.weight\.0,1,8,0,0/);
  });

  it('says what a trace holds', async () => {
    const path = await trace(10);
    const { code, stdout } = await tandem('trace', 'show', path, '--format', 'json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      sequences: 1,
      tokens: 10,
      scores: 100,
      heads: [{ layer: 0, head: 0, rows: 10 }],
    });
    expect((await tandem('trace', 'show', path)).stdout).toContain('gaussian');
    expect((await tandem('trace', 'show', path, '--format', 'csv')).stdout).toMatch(/^layer,head,threshold,/);
  });

  it('refuses a trace that was cut short', async () => {
    const path = await trace();
    writeFileSync(path, readFileSync(path).subarray(0, -20));
    expect(await tandem('trace', 'show', path)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^TANDEM_TRACE_TRUNCATED/),
    });
  });
});

describe('tandem run, before it runs', () => {
  it.each([
    ['malformed YAML', 'tandem: [1', 'TANDEM_CONFIG_SYNTAX'],
    ['a duplicate key', `${EXPERIMENT}name: again\n`, 'TANDEM_CONFIG_SYNTAX'],
    ['an unknown key', `${EXPERIMENT}sede: 1\n`, 'TANDEM_UNKNOWN_SETTING'],
    ['a wrong type', `${EXPERIMENT}seed: one\n`, 'TANDEM_CONFIG_INVALID'],
    ['an unknown preset', EXPERIMENT.replace('systolic-32x32-ws', 'systolic-33'), 'TANDEM_UNKNOWN_NAME'],
  ])('refuses %s with its place, and writes nothing', async (_, text, error) => {
    const file = scratchFile('e.yaml', text);
    const out = join(scratchFolder(), 'run');
    const { code, stderr } = await tandem('run', file, '--out', out);
    expect({ code, error: stderr.split(':')[0] }).toEqual({ code: 2, error });
    expect(stderr).toMatch(/ {2}at {3}\S+e\.yaml:\d+:\d+\n/);
    expect(existsSync(out)).toBe(false);
  });

  it('shows all problems of a file at once', async () => {
    const file = scratchFile('e.yaml', `${EXPERIMENT}sede: 1\nseed: one\n`);
    expect((await tandem('run', file)).stderr.match(/^TANDEM_/gm)).toHaveLength(2);
  });

  it.each([
    [['run', '/nowhere.yaml'], 'TANDEM_FILE_NOT_FOUND'],
    [['run', '--resume', '/nowhere'], 'TANDEM_CANNOT_RESUME'],
    [['train', '--resume', '/tmp'], 'TANDEM_CANNOT_RESUME'],
  ])('%j is refused', async (args, error) => {
    expect(await tandem(...args)).toMatchObject({ code: 2, stderr: expect.stringMatching(new RegExp(`^${error}`)) });
  });

  it('does not write where it may not', async () => {
    const file = scratchFile('e.yaml', EXPERIMENT);
    const { code, stderr } = await tandem('run', file, '--out', join(file, 'run'));
    expect({ code, error: stderr.split(':')[0] }).toEqual({ code: 1, error: 'TANDEM_NOT_WRITABLE' });
  });
});

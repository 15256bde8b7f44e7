import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Matrix, Operation, Program } from '../../../src/simulator/elector/operations.js';
import { buildProgram } from '../../../src/simulator/elector/program.js';
import type { HeadOperation, TransformerArchitecture, TransformerLayer } from '../../../src/workload/transformer.js';

const MIXED: TransformerArchitecture = {
  name: 'mixed',
  layers: [
    {
      hidden: 32,
      heads: [
        { kind: 'sdp', dim: 10 },
        { kind: 'wma', dim: 12 },
        { kind: 'dft', dim: 10 },
      ],
      feedForward: [48, 40],
    },
    {
      hidden: 24,
      heads: [
        { kind: 'dct', dim: 12 },
        { kind: 'conv', dim: 12, kernel: 5 },
      ],
      feedForward: [64],
    },
    { hidden: 24, heads: [{ kind: 'dft', dim: 24 }], feedForward: [64] },
  ],
  vocabulary: 50,
  tokens: 20,
};

const head = fc.oneof(
  fc.record({ kind: fc.constantFrom('sdp' as const, 'wma' as const, 'dft' as const, 'dct' as const), dim: fc.nat(40) }),
  fc.record({ kind: fc.constant('conv' as const), dim: fc.nat(40), kernel: fc.constantFrom(5, 9, 13) }),
);
const layer = fc.record({
  hidden: fc.constantFrom(16, 32),
  heads: fc.array(
    head.map((one) => ({ ...one, dim: one.dim + 1 }) as HeadOperation),
    { minLength: 1, maxLength: 3 },
  ),
  feedForward: fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 3 }),
});
const architecture = fc.record({
  name: fc.constant('any'),
  layers: fc.array(layer, { minLength: 1, maxLength: 3 }),
  vocabulary: fc.constant(50),
  tokens: fc.integer({ min: 1, max: 24 }),
});

/** Elements of a model's weights, by the textbook; biases and norms are not modelled, tables are not learned. */
function weights({ layers }: TransformerArchitecture): number {
  return layers.reduce((sum, current, index) => sum + layerWeights(current, layers[index + 1]?.hidden), 0);
}

function layerWeights({ hidden, heads, feedForward }: TransformerLayer, next = hidden): number {
  const ofHead = (one: HeadOperation) => {
    const [projection, output] = [hidden * one.dim, one.dim * hidden];
    if (one.kind === 'sdp') return 3 * projection + output;
    if (one.kind === 'wma') return 3 * projection + one.dim ** 2 + output;
    return projection + output + (one.kind === 'conv' ? one.kernel * one.dim : 0);
  };
  const widths = [hidden, ...feedForward, hidden];
  const products = widths.slice(1).reduce((sum, width, at) => sum + width * widths[at]!, 0);
  return heads.reduce((sum, one) => sum + ofHead(one), products) + (next === hidden ? 0 : hidden * next);
}

const learned = ({ matrices, embedding }: Program): Matrix[] =>
  matrices.filter((matrix) => matrix.stored && matrix !== embedding && matrix.mask.content === 'weight');
const elements = (matrices: readonly Matrix[]): number => matrices.reduce((sum, m) => sum + m.rows * m.columns, 0);
const readersOf = ({ operations }: Program, matrix: Matrix): Operation[] =>
  operations.filter(({ reads }) => reads.includes(matrix));
const writersOf = ({ operations }: Program, matrix: Matrix): Operation[] =>
  operations.filter(({ writes }) => writes === matrix);

describe.each(['inference', 'training'] as const)('a program of %s', (phase) => {
  test('has the weights of its model', () => {
    fc.assert(
      fc.property(architecture, (model) => {
        const program = buildProgram(model, phase, model.tokens);
        expect(elements(learned(program))).toBe(weights(model));
        expect(elements([program.embedding])).toBe((50 + model.tokens) * model.layers[0]!.hidden);
      }),
    );
  });

  test('reads nothing that is not stored, written before in full, or the loss’s gradient', () => {
    fc.assert(
      fc.property(architecture, (model) => {
        const program = buildProgram(model, phase, model.tokens);
        program.operations.forEach((operation, at) => {
          expect(operation.id).toBe(at);
          for (const matrix of operation.reads) {
            const writers = writersOf(program, matrix);
            expect(matrix.stored || matrix.name === 'loss.gradient' || writers.length > 0, operation.name).toBe(true);
            for (const { id } of writers) expect(id).toBeLessThan(at);
          }
          expect(operation.reads).not.toContain(operation.writes);
        });
      }),
    );
  });

  test('multiplies matrices that fit each other', () => {
    fc.assert(
      fc.property(architecture, (model) => {
        for (const operation of buildProgram(model, phase, model.tokens).operations) {
          if (operation.kind !== 'product') continue;
          const { left, right, writes } = operation;
          const [rows, inner] = left.transposed
            ? [left.matrix.columns, left.matrix.rows]
            : [left.matrix.rows, left.matrix.columns];
          const [outer, columns] = right.transposed
            ? [right.matrix.columns, right.matrix.rows]
            : [right.matrix.rows, right.matrix.columns];
          expect(outer, operation.name).toBe(inner);
          expect([writes.rows, writes.columns], operation.name).toEqual([rows, columns]);
        }
      }),
    );
  });

  test('uses everything it makes, and counts every matrix and operation to a layer of the model', () => {
    fc.assert(
      fc.property(architecture, (model) => {
        const program = buildProgram(model, phase, model.tokens);
        const last = model.layers.length - 1;
        for (const matrix of program.matrices) {
          const used = readersOf(program, matrix).length > 0 || matrix.kept;
          const result = matrix.name === `layer${last}.output`;
          expect(used || result, matrix.name).toBe(true);
          expect(matrix.mask.layer).toBeLessThanOrEqual(last);
        }
      }),
    );
  });
});

describe('training', () => {
  const program = buildProgram(MIXED, 'training', 20);

  test('every weight has a gradient of its size, written once, that is kept; so have the embedding’s rows', () => {
    const kept = program.matrices.filter((matrix) => matrix.kept);
    const gradients = kept.filter(({ shared }) => shared);
    const sizes = (matrices: readonly Matrix[]) => matrices.map((m) => `${m.name} ${m.rows} × ${m.columns}`).sort();
    const expected = learned(program).map((weight) => ({ ...weight, name: `${weight.name}'` }));
    expect(sizes(gradients)).toEqual(sizes(expected));
    expect(kept.filter(({ shared }) => !shared).map(({ name, rows, columns }) => [name, rows, columns])).toEqual([
      ["embedding'", 20, 32],
    ]);
    for (const matrix of kept) expect(writersOf(program, matrix)).toHaveLength(1);
  });

  test('is the forward program, and then the backward one', () => {
    const forward = buildProgram(MIXED, 'inference', 20);
    expect(program.operations.slice(0, forward.operations.length)).toEqual(forward.operations);
    const backward = program.operations.slice(forward.operations.length);
    expect(backward.every(({ name }) => name.endsWith("'"))).toBe(true);
    expect(Math.min(...backward.flatMap(({ writes }) => writes.id))).toBeGreaterThanOrEqual(forward.matrices.length);
  });

  test('has twice the forward pass’s products: with both operands of each', () => {
    const forward = buildProgram(MIXED, 'inference', 20).operations.filter(({ kind }) => kind === 'product');
    // The transforms' tables are not learned.
    const tables = forward.filter(({ reads }) => reads.some(({ mask }) => mask.content === 'dense')).length;
    const all = program.operations.filter(({ kind }) => kind === 'product').length;
    expect(all).toBe(3 * forward.length - tables);
  });

  test('gradients pass by the heads: the sum of both ways reaches the layer below', () => {
    const below = program.operations.find(({ name }) => name === "layer1.norm2'")!;
    expect(below.reads.map(({ name }) => name)).toEqual(["layer2.input'", "layer2.attention'", 'layer1.ffn.output']);
    const resized = program.operations.find(({ name }) => name === "layer0.resize.activation'")!;
    expect(resized.reads.map(({ name }) => name)).toEqual([
      "layer1.input'",
      "layer1.attention'",
      'layer0.resize.linear',
    ]);
  });

  test('convolutions have both gradients; the transforms share one table each', () => {
    const finds = program.operations.flatMap((one) => (one.kind === 'convolution' ? [one.finds] : []));
    expect(finds).toEqual(['output', 'kernel gradient', 'input gradient']);
    const tables = program.matrices.filter(({ stored, mask }) => stored && mask.content === 'dense');
    expect(tables.map(({ name }) => name)).toEqual(['dft', 'dct']);
    expect(readersOf(program, tables[0]!).map(({ name }) => name)).toEqual([
      'layer0.head2.dft',
      'layer2.head0.dft',
      "layer2.head0.value'",
      "layer0.head2.value'",
    ]);
  });
});

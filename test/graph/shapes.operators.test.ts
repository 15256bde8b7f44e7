import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OPERATORS, type OperatorName } from '../../src/graph/operators.js';
import { inferTypes } from '../../src/graph/shapes.js';
import type { Attribute, Dim, Graph, Node, Tensor, TensorType, ValueInfo } from '../../src/graph/types.js';
import { type Case, OPERATOR_CASES, Random } from './operator-cases.js';
import { run } from './runtime.js';

/** A graph of one node; `nameDims` gives the dimensions of its fed inputs. */
function graphOf(
  opType: OperatorName,
  given: Case,
  nameDims: (shape: readonly number[], input: number) => readonly Dim[],
) {
  const inputs: ValueInfo[] = [];
  const initializers = new Map<string, Tensor>();
  const feeds: Record<string, Tensor> = {};
  const names = given.inputs.map((argument, i) => {
    if (!argument) return '';
    const name = `x${i}`;
    if ('constant' in argument) {
      initializers.set(name, argument.constant);
    } else {
      feeds[name] = argument.feed;
      inputs.push({ name, dtype: argument.feed.dtype, shape: nameDims(argument.feed.shape, i) });
    }
    return name;
  });
  const outputs = Array.from({ length: given.outputs ?? 1 }, (_, i) => `y${i}`);
  const attributes: Record<string, Attribute> = {};
  for (const [name, value] of Object.entries(given.attributes ?? {})) if (value) attributes[name] = value;
  const node: Node = { name: 'node', opType, domain: '', inputs: names, outputs, attributes };
  const graph: Graph = inferTypes({
    name: opType,
    opsets: { '': given.opset ?? 17 },
    inputs,
    outputs: [],
    nodes: [node],
    initializers,
    types: new Map(),
    metadata: {},
  });
  return { graph, feeds, outputs };
}

const typesOf = (graph: Graph, names: readonly string[]) => names.map((name) => graph.types.get(name));

/** The number a symbolic dimension stands for, or undefined when it names something that no input names. */
function evaluate(dim: Dim, sizes: ReadonlyMap<string, number>): number | undefined {
  if (typeof dim === 'number') return dim;
  const factors = dim.split('*').map((factor) => sizes.get(factor) ?? Number(factor));
  return factors.some(Number.isNaN) ? undefined : factors.reduce((a, b) => a * b, 1);
}

describe.each(OPERATORS)('%s', (opType) => {
  // The element types and shapes that a node computes are unknown to the test; ONNX Runtime says what is right.
  test('infers the types that ONNX Runtime computes, and nothing false from symbolic dimensions', async () => {
    await fc.assert(
      fc.asyncProperty(fc.gen(), async (choose) => {
        const given = OPERATOR_CASES[opType](new Random(choose, fc));
        const { graph, feeds, outputs } = graphOf(opType, given, (shape) => shape);
        const declared = outputs.map((name): ValueInfo => ({ name, ...graph.types.get(name)! }));
        const computed = await run(
          { ...graph, outputs: declared.map((info) => ({ ...info, shape: undefined })) },
          feeds,
        );
        const real = outputs.map((name) => ({ dtype: computed[name]!.dtype, shape: computed[name]!.shape }));

        const inferred = typesOf(graph, outputs);
        if (opType !== 'NonZero') {
          expect(inferred.map((type) => type && { dtype: type.dtype, shape: type.shape })).toEqual(real);
        }

        const sizes = new Map<string, number>();
        const symbolic = graphOf(opType, given, (shape, input) =>
          shape.map((size, axis) => {
            sizes.set(`n${input}_${axis}`, size);
            return `n${input}_${axis}`;
          }),
        );
        for (const [i, type] of typesOf(symbolic.graph, outputs).entries()) expectConsistent(type, real[i]!, sizes);
        // What is followed by value must be what is computed.
        outputs.forEach((name, i) => {
          const { contents } = inferred[i]!;
          contents?.forEach((element, at) => {
            if (element !== undefined) expect(Number(computed[name]!.data[at])).toBe(element);
          });
        });
      }),
      { numRuns: 12, seed: 20 },
    );
  });
});

/** Each inferred dimension is either unnamed by the inputs or equal to the real one. */
function expectConsistent(
  type: TensorType | undefined,
  real: { shape: readonly number[] },
  sizes: ReadonlyMap<string, number>,
) {
  if (!type?.shape) return;
  expect(type.shape).toHaveLength(real.shape.length);
  type.shape.forEach((dim, axis) => {
    const size = evaluate(dim, sizes);
    if (size !== undefined) expect(size).toBe(real.shape[axis]);
  });
}

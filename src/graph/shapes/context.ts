import { TandemError } from '../../errors.js';
import type { Attribute, DataType, Dim, Node, Tensor, TensorType } from '../types.js';
import { broadcastDim } from './dims.js';

/** Types of a node's outputs, as far as they are determined; absent ones are unknown. */
export type ShapeRule = (context: ShapeContext) => readonly (TensorType | undefined)[];

export type Shape = readonly Dim[] | undefined;
export type Contents = readonly (Dim | undefined)[];

/** Tensors with more elements than this are not followed value by value. */
const CONTENTS_LIMIT = 64;
const RANK_LIMIT = 64;

/** One node as its shape rule sees it. */
export class ShapeContext {
  constructor(
    readonly node: Node,
    readonly inputs: readonly (TensorType | undefined)[],
    readonly constant: (name: string) => Tensor | undefined,
  ) {}

  has(input: number): boolean {
    return (this.node.inputs[input] ?? '') !== '';
  }

  dtype(input: number): DataType | undefined {
    return this.inputs[input]?.dtype;
  }

  shape(input: number): Shape {
    return this.inputs[input]?.shape;
  }

  /** What input `input` holds, element by element, where it is small and known. */
  contents(input: number): Contents | undefined {
    const followed = this.inputs[input]?.contents;
    if (followed) return followed;
    const value = this.constant(this.node.inputs[input] ?? '');
    return value && contentsOf(value);
  }

  /** Integers of a constant input, undefined when one is not known. */
  constantInts(input: number): readonly number[] | undefined {
    const contents = this.contents(input);
    return contents?.every((element) => typeof element === 'number') ? (contents as number[]) : undefined;
  }

  /** The tensor of a constant input, whatever its size. */
  tensor(input: number): Tensor | undefined {
    return this.constant(this.node.inputs[input] ?? '');
  }

  int<T extends number | undefined>(name: string, otherwise: T): number | T {
    const attribute = this.#attribute(name);
    return attribute?.kind === 'int' ? attribute.value : otherwise;
  }

  ints(name: string): readonly number[] | undefined {
    const attribute = this.#attribute(name);
    return attribute?.kind === 'ints' ? attribute.value : undefined;
  }

  string(name: string): string | undefined {
    const attribute = this.#attribute(name);
    return attribute?.kind === 'string' ? attribute.value : undefined;
  }

  tensorAttribute(name: string): Tensor | undefined {
    const attribute = this.#attribute(name);
    return attribute?.kind === 'tensor' ? attribute.value : undefined;
  }

  /** A list of integers that newer operator sets give as an input and older ones as an attribute. */
  intsFrom(input: number, attribute: string): readonly number[] | 'unknown' | undefined {
    if (this.has(input)) return this.constantInts(input) ?? 'unknown';
    return this.ints(attribute);
  }

  /** The name of an output dimension that nothing determines. */
  fresh(axis: number, output = 0): Dim {
    return `${this.node.outputs[output] || this.node.name}_dim${axis}`;
  }

  /** A shape of unknown dimensions; no shape at all for a rank that no tensor has. */
  freshShape(rank: number, output = 0): Shape {
    if (rank < 0 || rank > RANK_LIMIT) return undefined;
    return Array.from({ length: rank }, (_, axis) => this.fresh(axis, output));
  }

  /** An output; unknown when its element type is. */
  type(dtype: DataType | undefined, shape: Shape, contents?: Contents): TensorType | undefined {
    if (dtype === undefined) return undefined;
    const known = contents && contents.length <= CONTENTS_LIMIT && contents.some((element) => element !== undefined);
    return known && shape && shape.length <= 1 ? { dtype, shape, contents } : { dtype, shape };
  }

  /** An axis counted from the front. */
  axis(axis: number, rank: number): number {
    if (axis < -rank || axis >= rank) this.fail(`Axis ${axis} is outside a tensor of rank ${rank}.`);
    return axis < 0 ? axis + rank : axis;
  }

  /** The common shape of broadcast operands; undefined when the rank of one is unknown. */
  broadcast(shapes: readonly Shape[], output = 0): Shape {
    if (shapes.some((shape) => shape === undefined)) return undefined;
    const known = shapes as readonly (readonly Dim[])[];
    const rank = Math.max(0, ...known.map((shape) => shape.length));
    return Array.from({ length: rank }, (_, axis) => {
      let result: Dim = 1;
      for (const shape of known) {
        const dim = broadcastDim(result, shape[shape.length - rank + axis] ?? 1);
        if (dim === 'mismatch') this.fail(`The shapes ${known.map(show).join(' and ')} do not broadcast.`);
        result = dim ?? this.fresh(axis, output);
      }
      return result;
    });
  }

  /** Requires two dimensions to be equal, and returns the better known of them. */
  unify(a: Dim, b: Dim, what: string): Dim {
    if (typeof a === 'number' && typeof b === 'number' && a !== b) {
      this.fail(`${what}: ${a} and ${b} differ${this.#shapes()}.`);
    }
    return typeof a === 'number' ? a : b;
  }

  /** Requires a rank, where it is known. */
  requireRank(shape: Shape, least: number, what: string, most = Number.POSITIVE_INFINITY): void {
    if (shape && (shape.length < least || shape.length > most)) {
      const wanted =
        most === least ? `${least}` : most < Number.POSITIVE_INFINITY ? `${least} to ${most}` : `≥ ${least}`;
      this.fail(`${what} has shape ${show(shape)} where rank ${wanted} is needed.`);
    }
  }

  fail(message: string): never {
    throw new TandemError('TANDEM_SHAPE_MISMATCH', message, {
      place: `node "${this.node.name}" (${this.node.opType})`,
      remedy: `Check what feeds ${this.node.inputs.filter((name) => name !== '').join(', ')}.`,
    });
  }

  #attribute(name: string): Attribute | undefined {
    return this.node.attributes[name];
  }

  #shapes(): string {
    return ` (inputs ${this.inputs.map((type) => show(type?.shape)).join(', ')})`;
  }
}

export const show = (shape: Shape): string => (shape ? `[${shape.join(', ')}]` : '[?]');

/** Elements of a small tensor of integers or booleans of rank ≤ 1, as contents. */
export function contentsOf(value: Tensor): Contents | undefined {
  if (value.shape.length > 1 || value.data.length > CONTENTS_LIMIT) return undefined;
  const { dtype, data } = value;
  return dtype === 'int64' || dtype === 'int32' || dtype === 'bool'
    ? Array.from(data as ArrayLike<number | bigint>, Number)
    : undefined;
}

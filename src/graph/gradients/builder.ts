import { GraphBuilder } from '../builder.js';
import {
  type Attribute,
  type Attributes,
  type DataType,
  type Dim,
  type Graph,
  int,
  ints,
  type Node,
  sizeOf,
  type Tensor,
  tensor,
} from '../types.js';

/** Constants up to this many elements are compared by value and stored once. */
const SMALL = 16;

/**
 * A GraphBuilder for expressions made by rule: it makes a common sub-expression once (those of the forward graph
 * included) and knows the few compound operations that gradients need.
 */
export class GradientBuilder extends GraphBuilder {
  readonly #made = new Map<string, string[]>();
  readonly #constants = new Map<string, string>();
  readonly #producers = new Map<string, Node>();

  /** Values made here as a factor times another value. */
  readonly #scaled = new Map<string, { of: string; factor: number }>();
  readonly #variables: ReadonlySet<string>;

  /** @param variables initializers whose values training changes: no expression may take them for constants */
  constructor(from: Graph, variables: Iterable<string>) {
    super(from.name, from);
    this.#variables = new Set(variables);
    for (const node of from.nodes) {
      for (const output of node.outputs) this.#producers.set(output, node);
      if (!NOT_COMPARED.test(node.opType)) this.#made.set(expression(node), [...node.outputs]);
    }
  }

  override node(
    opType: string,
    inputs: readonly string[],
    outputCount: number,
    attributes: Attributes = {},
    hint = opType.toLowerCase(),
    domain = '',
  ): string[] {
    const key = expression({ opType, inputs, outputs: new Array(outputCount).fill('x'), attributes, domain });
    const known = this.#made.get(key);
    if (known) return known;
    const outputs = super.node(opType, inputs, outputCount, attributes, hint, domain);
    this.#made.set(key, outputs);
    for (const output of outputs) this.#producers.set(output, this.nodes.at(-1)!);
    return outputs;
  }

  override constant(value: Tensor | number, hint?: string): string {
    const dtype = typeof value === 'number' ? 'float32' : value.dtype;
    const shape = typeof value === 'number' ? [] : value.shape;
    if (sizeOf(shape) > SMALL) return super.constant(value, hint);
    const data = typeof value === 'number' ? [Math.fround(value)] : value.data;
    const key = `${dtype}[${shape}]${Array.from<unknown>(data as ArrayLike<unknown>).join()}`;
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const name = super.constant(value, hint);
    this.#constants.set(key, name);
    return name;
  }

  shapeIfKnown(value: string): readonly Dim[] | undefined {
    return this.types.get(value)?.shape;
  }

  /** The shape if every dimension is a number. */
  staticShape(value: string): readonly number[] | undefined {
    const shape = this.shapeIfKnown(value);
    return shape?.every((dim) => typeof dim === 'number') ? (shape as readonly number[]) : undefined;
  }

  /** A scalar constant of the type of `like`. */
  number(value: number, like: string): string {
    const { dtype } = this.typeOf(like);
    return dtype === 'float16' ? this.cast(this.constant(value), 'float16') : this.scalar(dtype, value);
  }

  /** The value of an initializer that stays as it is. */
  constantValue(name: string): Tensor | undefined {
    return this.#variables.has(name) ? undefined : this.initializers.get(name);
  }

  /** The number that a floating-point constant of one element holds, if it adds no axes to `other`. */
  constantNumber(name: string, other: string): number | undefined {
    const constant = this.constantValue(name);
    const rank = this.shapeIfKnown(other)?.length ?? 0;
    const fits =
      constant && /^float(32|64)$/.test(constant.dtype) && constant.data.length === 1 && constant.shape.length <= rank;
    return fits ? Number(constant.data[0]) : undefined;
  }

  /** factor · value. Factors gather: of a product of scaled values, the product is scaled, once. */
  scale(value: string, factor: number): string {
    const inner = this.#scaled.get(value);
    if (inner) return this.scale(inner.of, inner.factor * factor);
    if (factor === 1) return value;
    const scaled = this.op('Mul', [value, this.number(factor, value)]);
    this.#scaled.set(scaled, { of: value, factor });
    return scaled;
  }

  override mul = (a: string, b: string, hint?: string): string => {
    const [left, right] = [this.#unscaled(a, b), this.#unscaled(b, a)];
    return this.scale(this.op('Mul', [left.of, right.of], {}, hint), left.factor * right.factor);
  };

  override div = (a: string, b: string, hint?: string): string => {
    const { of, factor } = this.#unscaled(a, b);
    return this.scale(this.op('Div', [of, b], {}, hint), factor);
  };

  neg = (value: string): string => (this.#scaled.has(value) ? this.scale(value, -1) : this.op('Neg', [value]));

  /** Takes a factor off, unless the result would be a larger tensor to put it back on. */
  #unscaled(value: string, other: string): { of: string; factor: number } {
    const [shape, larger] = [this.shapeIfKnown(value), this.shapeIfKnown(other)];
    const scaled = shape && larger && sameShape(shape, larger) ? this.#scaled.get(value) : undefined;
    return scaled ?? { of: value, factor: 1 };
  }

  /** The value's shape as an int64 vector: a constant where it is static, else computed at run time. */
  shape(value: string): string {
    const known = this.staticShape(value);
    return known ? this.ints(known) : this.op('Shape', [value]);
  }

  /** One dimension as an int64 vector of length 1. `axis` ≥ 0. */
  dim(value: string, axis: number): string {
    const known = this.shapeIfKnown(value)?.[axis];
    if (typeof known === 'number') return this.ints([known]);
    return this.op('Shape', [value], { start: int(axis), end: int(axis + 1) });
  }

  /** int64 vectors one after the other: a constant if all are. */
  concatInts(parts: readonly string[]): string {
    const constants = parts.map((part) => this.initializers.get(part));
    if (constants.every((part) => part !== undefined)) {
      return this.ints(constants.flatMap(({ data }) => Array.from(data as BigInt64Array, Number)));
    }
    return parts.length === 1 ? parts[0]! : this.op('Concat', parts, { axis: int(0) });
  }

  /** Zeros in the shape of `like`. */
  zerosLike(like: string): string {
    return this.zeros(this.shape(like), this.typeOf(like).dtype);
  }

  zeros(shape: string, dtype: DataType): string {
    const data =
      dtype === 'float64' ? new Float64Array(1) : dtype === 'float16' ? new Uint16Array(1) : new Float32Array(1);
    return this.op('ConstantOfShape', [shape], { value: { kind: 'tensor', value: tensor(dtype, [1], data) } });
  }

  /** Sum over axes, which are removed unless `keep`. */
  sum(value: string, axes: readonly number[] | undefined, keep: boolean): string {
    if (axes?.length === 0) return value;
    const inputs = axes ? [value, this.ints(axes)] : [value];
    return this.op('ReduceSum', inputs, { keepdims: int(keep ? 1 : 0) });
  }

  /** The value as a matrix [everything before the last axis, last axis]; itself if it is one already. */
  asMatrix(value: string): string {
    const rank = this.shapeOf(value).length;
    return rank === 2 ? value : this.op('Flatten', [value], { axis: int(rank - 1) });
  }

  /**
   * Permutes axes. A chain of transpositions becomes one, and the identity none.
   */
  permute(value: string, perm: readonly number[]): string {
    const producer = this.#producers.get(value);
    const inner = producer?.opType === 'Transpose' ? producer.attributes.perm : undefined;
    if (producer && inner?.kind === 'ints')
      return this.permute(
        producer.inputs[0]!,
        perm.map((axis) => inner.value[axis]!),
      );
    if (perm.every((axis, i) => axis === i)) return value;
    return this.op('Transpose', [value], { perm: ints(perm) });
  }

  /** Exchanges the last two axes. */
  swapLast(value: string): string {
    const axes = this.shapeOf(value).map((_, i) => i);
    const last = axes.length - 1;
    return this.permute(value, [...axes.slice(0, -2), last, last - 1]);
  }

  /** `value` in the shape of `like`, which has as many elements. */
  reshapeLike(value: string, like: string): string {
    const [from, to] = [this.shapeIfKnown(value), this.shapeIfKnown(like)];
    if (from && to && sameShape(from, to)) return value;
    const target = to && reshapeTarget(from ?? [], to);
    return this.op('Reshape', [value, target ? this.ints(target) : this.op('Shape', [like])]);
  }

  /**
   * Sums a gradient over the axes along which `like` was broadcast to the gradient's shape.
   * Decided from static shapes where they tell, else computed at run time.
   * @param shape the gradient's shape, if better known than by inference
   */
  sumTo(gradient: string, like: string, shape = this.shapeIfKnown(gradient)): string {
    const target = this.shapeIfKnown(like);
    if (!shape || !target) return this.#sumToAnyRank(gradient, like);
    const axes = broadcastAxes(shape, target);
    const leading = shape.length - target.length;
    if (!axes) return this.#sumToAtRunTime(this.sum(gradient, [...Array(leading).keys()], false), like);
    if (axes.length === 0) return gradient;
    if (leading === 0) return this.sum(gradient, axes, true);
    const summed = this.sum(gradient, axes, false);
    return axes.length === leading ? summed : this.reshapeLike(summed, like);
  }

  /** Where named sizes may or may not be 1: sums over the axes that differ. Both have the same rank. */
  #sumToAtRunTime(gradient: string, like: string, to = this.op('Shape', [like])): string {
    const differs = this.op('Not', [this.op('Equal', [this.op('Shape', [gradient]), to])]);
    const axes = this.op('Squeeze', [this.op('NonZero', [differs]), this.ints([0])]);
    return this.op('ReduceSum', [gradient, axes], { keepdims: int(1), noop_with_empty_axes: int(1) });
  }

  #sumToAnyRank(gradient: string, like: string): string {
    const from = this.op('Shape', [gradient]);
    const to = this.op('Shape', [like]);
    const missing = this.sub(this.op('Shape', [from]), this.op('Shape', [to]));
    const one = { value: { kind: 'tensor', value: tensor('int64', [1], BigInt64Array.of(1n)) } } satisfies Attributes;
    const padded = this.op('Concat', [this.op('ConstantOfShape', [missing], one), to], { axis: int(0) });
    return this.op('Reshape', [this.#sumToAtRunTime(gradient, like, padded), to]);
  }

  /** Gives an existing node more outputs (of the types given), under generated names. */
  extendOutputs(
    node: Node,
    more: readonly { hint: string; dtype: DataType; shape: readonly Dim[] | undefined }[],
  ): string[] {
    const index = this.nodes.findIndex(({ name }) => name === node.name);
    const made = more.map(({ hint, dtype, shape }) => {
      const name = this.unique(hint);
      this.types.set(name, { dtype, shape });
      return name;
    });
    this.nodes[index] = { ...node, outputs: [...node.outputs, ...made] };
    return made;
  }
}

/** Nodes that differ each time they run, or whose attribute is as large as a weight. */
const NOT_COMPARED = /^(Random|Bernoulli|Multinomial|Dropout|Constant$)/;

/** Equal for nodes that compute the same. */
function expression({ opType, domain, inputs, outputs, attributes }: Omit<Node, 'name'>): string {
  const settings = Object.entries(attributes)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, attribute]) => [key, plain(attribute)]);
  return JSON.stringify([domain, opType, outputs.length, inputs, settings]);
}

function plain(attribute: Attribute): unknown {
  if (attribute.kind === 'graph') return attribute.value.name;
  if (attribute.kind !== 'tensor') return [attribute.kind, attribute.value];
  const { dtype, shape, data } = attribute.value;
  return [dtype, shape, Array.from<unknown>(data as ArrayLike<unknown>).join()];
}

export const sameShape = (a: readonly Dim[], b: readonly Dim[]): boolean =>
  a.length === b.length && a.every((dim, i) => dim === b[i]);

/**
 * Axes of `shape` to sum over to undo broadcasting from `target`; undefined where only run time can tell.
 * Equal names are equal sizes; a name may be 1 at run time.
 */
export function broadcastAxes(shape: readonly Dim[], target: readonly Dim[]): number[] | undefined {
  const leading = shape.length - target.length;
  if (leading < 0) return undefined;
  const axes: number[] = [];
  for (const [axis, dim] of shape.entries()) {
    const wanted = axis < leading ? undefined : target[axis - leading];
    if (wanted === undefined || (wanted === 1 && dim !== 1)) axes.push(axis);
    else if (typeof wanted === 'string' && dim !== wanted && dim !== 1) return undefined;
  }
  return axes;
}

/** The shape argument of a Reshape to `to`: 0 copies a dimension, −1 is computed; undefined if that cannot express it. */
function reshapeTarget(from: readonly Dim[], to: readonly Dim[]): number[] | undefined {
  const target = to.map((dim, i) => (typeof dim === 'number' ? dim : dim === from[i] ? 0 : -1));
  const unknown = target.filter((dim) => dim < 0).length;
  return unknown <= 1 && !to.includes(0) ? target : undefined;
}

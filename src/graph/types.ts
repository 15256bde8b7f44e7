/**
 * The model as data: an ONNX graph as plain, typed TypeScript values. Nothing here needs a runtime or Node.
 * Values (tensors flowing along edges) are identified by name, as in ONNX; '' stands for an absent optional input.
 */

export type DataType =
  | 'float32'
  | 'float64'
  | 'float16'
  | 'int8'
  | 'uint8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'uint64'
  | 'bool'
  | 'string';

/** A dimension: a known size, or the name of one that is bound at run time (`batch`, `tokens`). */
export type Dim = number | string;

export interface TensorType {
  readonly dtype: DataType;
  /** Undefined when not even the rank is known. */
  readonly shape: readonly Dim[] | undefined;
  /**
   * What a small integer or boolean tensor holds, as far as its node's inputs tell: shapes computed in the graph
   * (`Shape → Gather → Concat → Reshape`) are followed this way. Row-major, rank ≤ 1; undefined elements are unknown.
   */
  readonly contents?: readonly (Dim | undefined)[];
}

export interface ValueInfo extends TensorType {
  readonly name: string;
}

/** Values of a tensor, row-major. float16 as raw bits in a Uint16Array; bool as 0/1 in a Uint8Array. */
export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | string[];

export interface Tensor {
  readonly dtype: DataType;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

export type Attribute =
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'ints'; readonly value: readonly number[] }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'strings'; readonly value: readonly string[] }
  | { readonly kind: 'tensor'; readonly value: Tensor }
  | { readonly kind: 'graph'; readonly value: Graph };

export type Attributes = Readonly<Record<string, Attribute>>;

export interface Node {
  /** Unique in the graph. */
  readonly name: string;
  readonly opType: string;
  /** '' is the standard ONNX domain. */
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Attributes;
}

/** A model. Treat as immutable: a rewrite makes a new Graph (sharing tensors, which are never written in place). */
export interface Graph {
  readonly name: string;
  /** Version per operator-set domain; '' is the standard one, ≥ 17 in what Tandem writes. */
  readonly opsets: Readonly<Record<string, number>>;
  /**
   * What a caller feeds. An initializer of the same name is an input's default, which need not be fed (ONNX: an
   * overridable initializer). Shape inference leaves its value open; pattern search takes the default for granted.
   */
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /** In topological order: a node's inputs are produced before it. */
  readonly nodes: readonly Node[];
  /** Weights and constants, by value name. */
  readonly initializers: ReadonlyMap<string, Tensor>;
  /** Types of values as far as known, by value name (inputs, outputs and initializers included). */
  readonly types: ReadonlyMap<string, TensorType>;
  /** Free key/value metadata, written to the .onnx file's metadata_props. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** The value of an initializer that no caller can override. */
export function constantOf({ inputs, initializers }: Pick<Graph, 'inputs' | 'initializers'>, name: string) {
  const value = initializers.get(name);
  return value && inputs.some((input) => input.name === name) ? undefined : value;
}

export const int = (value: number): Attribute => ({ kind: 'int', value });
export const float = (value: number): Attribute => ({ kind: 'float', value });
export const ints = (value: readonly number[]): Attribute => ({ kind: 'ints', value });
export const str = (value: string): Attribute => ({ kind: 'string', value });

/** Number of elements of a shape; 1 for a scalar. */
export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, dim) => product * dim, 1);

export const tensor = (dtype: DataType, shape: readonly number[], data: TensorData): Tensor => ({ dtype, shape, data });
export const floatTensor = (values: ArrayLike<number>, shape: readonly number[] = [values.length]): Tensor =>
  tensor('float32', shape, Float32Array.from(values));
export const int64Tensor = (values: readonly number[], shape: readonly number[] = [values.length]): Tensor =>
  tensor('int64', shape, BigInt64Array.from(values, BigInt));

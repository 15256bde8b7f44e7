import * as ort from 'onnxruntime-node';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { GraphBuilder } from '../../src/graph/builder.js';
import { type DifferentiateOptions, differentiate } from '../../src/graph/gradients/index.js';
import { encodeModel } from '../../src/graph/onnx/encode.js';
import { type Dim, type Graph, int, sizeOf, type Tensor, tensor, type ValueInfo } from '../../src/graph/types.js';

export type Session = (feeds: Readonly<Record<string, Tensor>>) => Promise<Record<string, Tensor>>;

/** Runs a graph with ONNX Runtime. */
export async function load(graph: Graph, threads = 1): Promise<Session> {
  const session = await ort.InferenceSession.create(encodeModel(graph), {
    intraOpNumThreads: threads,
    logSeverityLevel: 3,
  });
  return async (feeds) => {
    const given = Object.entries(feeds).map(([name, { dtype, data, shape }]) => [
      name,
      new ort.Tensor(dtype as 'float32', data as Float32Array, shape),
    ]);
    const fetched = await session.run(Object.fromEntries(given));
    return Object.fromEntries(
      Object.entries(fetched).map(([name, { type, dims, data }]) => [
        name,
        tensor(type as 'float32', dims, data as Float32Array),
      ]),
    );
  };
}

/** Uniform numbers in [low, high), reproducible. */
export function random(seed: number): (low: number, high: number) => number {
  const generator = xoroshiro128plus(seed);
  return (low, high) => low + (high - low) * ((generator.next() >>> 0) / 2 ** 32);
}

export interface GradientCase {
  /** Inputs to differentiate: a concrete shape, and the shape the graph declares if it differs (symbolic). */
  readonly inputs: Readonly<Record<string, Differentiated>>;
  /** Other inputs, e.g. indices. */
  readonly others?: Readonly<Record<string, Tensor>>;
  readonly build: (b: GraphBuilder) => string;
  /** float32 where ONNX Runtime has no float64 kernel. */
  readonly dtype?: 'float32' | 'float64';
  readonly rules?: DifferentiateOptions['rules'];
  readonly seed?: number;
}

export interface Differentiated {
  readonly shape: readonly number[];
  /** 'unknown': not even the rank is. */
  readonly declared?: readonly Dim[] | 'unknown';
  /** Values to use; default: uniform in [low, high), [0.2, 1.7) if not given. */
  readonly values?: readonly number[];
  readonly low?: number;
  readonly high?: number;
}

const LOSS = 'checked loss';

/** The graph of loss = Σ y·(fixed random weights), so that every element of y counts differently. */
function lossGraph(given: GradientCase): Graph {
  const dtype = given.dtype ?? 'float64';
  const b = new GraphBuilder('check');
  for (const [name, { shape, declared }] of Object.entries(given.inputs))
    declareInput(b, { name, dtype, shape: declared === 'unknown' ? undefined : (declared ?? shape) });
  for (const [name, { dtype: other, shape }] of Object.entries(given.others ?? {})) b.input(name, other, shape);
  const y = given.build(b);
  const count = b.op('Squeeze', [b.op('Size', [y])]);
  const numbers = b.op('Range', [b.scalar('int64', 0), count, b.scalar('int64', 1)]);
  const weights = b.op('Reshape', [b.cast(numbers, dtype), b.op('Shape', [y])]);
  const wave = b.op('Sin', [b.add(weights, b.scalar(dtype, 0.7))]);
  b.output(b.op('ReduceSum', [b.reshape(b.mul(y, wave), [-1])], { keepdims: int(0) }, LOSS));
  return b.finish();
}

function declareInput(b: GraphBuilder, info: ValueInfo): void {
  b.input(info.name, info.dtype, info.shape ?? []);
  if (info.shape) return;
  b.inputs[b.inputs.length - 1] = info;
  b.types.set(info.name, info);
}

/** Largest difference between gradients and central differences, relative to the largest gradient of its input. */
export async function gradientError(given: GradientCase): Promise<number> {
  const dtype = given.dtype ?? 'float64';
  const step = dtype === 'float64' ? 1e-5 : 1e-2;
  const next = random(given.seed ?? 1);
  const feeds: Record<string, Tensor> = { ...given.others };
  for (const [name, { shape, values, low = 0.2, high = 1.7 }] of Object.entries(given.inputs)) {
    const data = values ?? Array.from({ length: sizeOf(shape) }, () => next(low, high));
    feeds[name] = tensor(dtype, shape, dtype === 'float64' ? Float64Array.from(data) : Float32Array.from(data));
  }
  const graph = lossGraph(given);
  const wrt = Object.keys(given.inputs);
  const derived = differentiate(graph, { loss: LOSS, wrt, ...(given.rules ? { rules: given.rules } : {}) });
  const gradients = await (await load(derived))(feeds);
  const forward = await load(graph);
  let worst = 0;
  for (const name of wrt) {
    const { data, shape } = feeds[name]!;
    const gradient = gradients[`grad:${name}`]!;
    if (gradient.dtype !== dtype || `${gradient.shape}` !== `${shape}`) {
      throw new Error(`grad:${name} is ${gradient.dtype} [${gradient.shape}], not ${dtype} [${shape}]`);
    }
    const analytic = Array.from(gradient.data as Float64Array);
    const scale = Math.max(1e-3, ...analytic.map(Math.abs));
    for (const [i, value] of analytic.entries()) {
      const at = async (shift: number) => {
        const moved = data.slice() as Float64Array;
        moved[i]! += shift;
        const result = await forward({ ...feeds, [name]: tensor(dtype, shape, moved) });
        return { loss: Number(result[LOSS]!.data[0]), x: moved[i]! };
      };
      const [above, below] = [await at(step), await at(-step)];
      const numeric = (above.loss - below.loss) / (above.x - below.x);
      worst = Math.max(worst, Math.abs(value - numeric) / scale);
    }
  }
  return worst;
}

/** What float64 central differences reach; float32 ones are limited by rounding of the loss. */
export const tolerance = (dtype: GradientCase['dtype']): number => (dtype === 'float32' ? 5e-3 : 1e-6);

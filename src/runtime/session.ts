import { availableParallelism } from 'node:os';
import * as ort from 'onnxruntime-node';
import { TandemError } from '../errors.js';
import { encodeModel } from '../graph/onnx/encode.js';
import type { DataType, Graph, Tensor, ValueInfo } from '../graph/types.js';
import { bindFeeds, resolveShape } from './feeds.js';
import { creationError, runError } from './ort-errors.js';
import { checkProviders } from './providers.js';
import { fromRuntime, toRuntime } from './tensors.js';
import type { Feeds, Fetched, RuntimeOptions } from './types.js';

/** Failures come as errors with a code; the runtime's own log lines would only repeat them on stderr. */
const FATAL = 4;
ort.env.logLevel = 'fatal';

/**
 * A graph made ready to run. Results are equal bit for bit between runs on equal hardware with an equal number of
 * threads; another number of threads may change the last bits, because sums are then split elsewhere.
 */
export class Session {
  readonly #handle: ort.InferenceSession;
  readonly #name: string;
  /** ONNX Runtime for Node ignores what is fed to an overridable initializer, so such inputs are fed at every run. */
  readonly #defaults: Feeds;
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];

  private constructor(handle: ort.InferenceSession, graph: Graph | undefined, defaults: Feeds) {
    this.#handle = handle;
    this.#defaults = defaults;
    this.#name = graph?.name ?? 'of the given bytes';
    this.inputs = graph?.inputs ?? handle.inputMetadata.map(valueInfo);
    this.outputs = graph?.outputs ?? handle.outputMetadata.map(valueInfo);
  }

  /**
   * @param model a graph, or the bytes of an .onnx file; inputs with a default can be fed in a graph only
   * @throws TANDEM_PROVIDER_UNAVAILABLE, TANDEM_OPERATOR_UNKNOWN, TANDEM_GRAPH_REJECTED
   */
  static async create(model: Graph | Uint8Array, options: Partial<RuntimeOptions> = {}): Promise<Session> {
    const executionProviders = options.executionProviders ?? ['cpu'];
    checkProviders(executionProviders);
    const graph = model instanceof Uint8Array ? undefined : model;
    const defaults = graph ? defaultsOf(graph) : {};
    const bytes = model instanceof Uint8Array ? model : encodeModel(withoutDefaults(model, defaults));
    try {
      const handle = await ort.InferenceSession.create(bytes, {
        executionProviders,
        intraOpNumThreads: options.threads ?? availableParallelism(),
        graphOptimizationLevel: 'all',
        logSeverityLevel: FATAL,
        ...(options.takesTurns && { extra: { session: { force_spinning_stop: '1' } } }),
      });
      return new Session(handle, graph, defaults);
    } catch (cause) {
      if (cause instanceof TandemError) throw cause;
      throw creationError(cause, graph?.name ?? 'of the given bytes', executionProviders);
    }
  }

  /**
   * Runs the graph.
   * @param feeds every input that has no default
   * @param fetches names of the outputs wanted; default: all
   * @param reuse tensors of an earlier run, or memory of the caller's own, to write outputs into: where the type and the
   *   shape are those of this run, the output is that very tensor, overwritten; otherwise it is a new one
   * @throws TANDEM_FEED_INVALID before anything runs, TANDEM_RUN_FAILED
   */
  async run(feeds: Feeds, fetches?: readonly string[], reuse: Fetched = {}): Promise<Fetched> {
    const fed = { ...this.#defaults, ...feeds };
    const bindings = bindFeeds(this.inputs, fed);
    const outputs = this.#outputs(fetches);
    const given = Object.fromEntries(Object.entries(fed).map(([name, tensor]) => [name, toRuntime(tensor)]));
    const kept = new Map<string, Tensor>();
    const wanted: Record<string, ort.Tensor | null> = {};
    for (const { name, dtype, shape } of outputs) {
      const memory = reuse[name];
      const expected = resolveShape(shape, bindings);
      const fits = memory?.dtype === dtype && expected && equalShapes(memory.shape, expected) && dtype !== 'string';
      if (fits) kept.set(name, memory);
      wanted[name] = fits ? toRuntime(memory) : null;
    }
    const results = await this.#handle.run(given, wanted, { logSeverityLevel: FATAL }).catch((cause: unknown) => {
      throw runError(cause, this.#name);
    });
    return Object.fromEntries(outputs.map(({ name }) => [name, kept.get(name) ?? fromRuntime(results[name]!)]));
  }

  /** Frees the runtime's memory; the session cannot run afterwards. */
  async dispose(): Promise<void> {
    await this.#handle.release();
  }

  #outputs(fetches: readonly string[] | undefined): readonly ValueInfo[] {
    return (
      fetches?.map((name) => {
        const output = this.outputs.find((candidate) => candidate.name === name);
        if (output) return output;
        throw new TandemError('TANDEM_FEED_INVALID', `The graph has no output "${name}".`, {
          place: `output ${name}`,
          remedy: `Fetch some of: ${this.outputs.map((candidate) => candidate.name).join(', ')}.`,
        });
      }) ?? this.outputs
    );
  }
}

function defaultsOf({ inputs, initializers }: Graph): Feeds {
  return Object.fromEntries(
    inputs.flatMap(({ name }) => {
      const value = initializers.get(name);
      return value ? [[name, value]] : [];
    }),
  );
}

function withoutDefaults(graph: Graph, defaults: Feeds): Graph {
  const initializers = [...graph.initializers].filter(([name]) => !Object.hasOwn(defaults, name));
  return { ...graph, initializers: new Map(initializers) };
}

const equalShapes = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((dim, axis) => dim === b[axis]);

function valueInfo(metadata: ort.InferenceSession.ValueMetadata): ValueInfo {
  if (!metadata.isTensor) {
    throw new TandemError('TANDEM_GRAPH_REJECTED', `"${metadata.name}" is a sequence or map, not a tensor.`, {
      place: `value ${metadata.name}`,
      remedy: 'Export the model with tensors as inputs and outputs.',
    });
  }
  // The runtime gives [] both to a scalar and where not even the rank is known.
  const shape = metadata.shape.length > 0 ? metadata.shape : undefined;
  return { name: metadata.name, dtype: metadata.type as DataType, shape };
}

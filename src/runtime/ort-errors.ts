import { TandemError } from '../errors.js';
import { unavailable } from './providers.js';

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause)).trim();

/** What ONNX Runtime says when it cannot make a session, as an error with a code. */
export function creationError(cause: unknown, graphName: string, providers: readonly string[]): TandemError {
  const message = messageOf(cause);
  const operator =
    /No Op registered for (\S+)/.exec(message)?.[1] ??
    /(\S+)\(-?\d+\) is not a registered function\/op/.exec(message)?.[1] ??
    /Could not find an implementation for (\w+)/.exec(message)?.[1];
  const node = /In Node, \("([^"]*)"/.exec(message)?.[1] ?? /node with name '([^']*)'/.exec(message)?.[1];
  if (operator) {
    return new TandemError('TANDEM_OPERATOR_UNKNOWN', `ONNX Runtime has no operator ${operator} for this graph.`, {
      place: node ? `node ${node}` : `graph ${graphName}`,
      remedy: 'Export the model with standard ONNX operators, or to an operator set that has this one.',
      cause,
    });
  }
  const provider = providers.find((name) => name !== 'cpu');
  if (provider && new RegExp(`${provider}|load shared library`, 'i').test(message)) return unavailable(provider, cause);
  return new TandemError('TANDEM_GRAPH_REJECTED', `ONNX Runtime does not accept the graph: ${message}`, {
    place: node ? `node ${node}` : `graph ${graphName}`,
    remedy: 'Check the node or value that the message names.',
    cause,
  });
}

/** What ONNX Runtime says when a run fails. */
export function runError(cause: unknown, graphName: string): TandemError {
  const message = messageOf(cause);
  const node = /Name:'([^']*)'/.exec(message)?.[1];
  return new TandemError('TANDEM_RUN_FAILED', `ONNX Runtime failed: ${message}`, {
    place: node ? `node ${node}` : `graph ${graphName}`,
    remedy: 'Shapes or indices that depend on the data are the usual cause: check the feeds.',
    cause,
  });
}

/** Transformers by shape, as a user names them on the command line. */
import { TandemError } from '../errors.js';
import { readModelDictionary } from '../workload/files.js';
import { decodeTransformer } from '../workload/flexibert.js';
import { ARCHITECTURE_NAMES, namedArchitecture } from '../workload/named-transformers.js';
import type { TransformerArchitecture } from '../workload/transformer.js';

const FLEXIBERT = 'flexibert:';

/**
 * `flexibert:bert-tiny`, `flexibert:[37 numbers]`, or the path of a model dictionary of AccelTran (.json).
 * @param place where it was named, for errors
 * @throws TANDEM_UNKNOWN_NAME, TANDEM_CONFIG_INVALID, and what readModelDictionary throws
 */
export function readTransformer(model: string, place: string): TransformerArchitecture {
  if (!model.startsWith(FLEXIBERT)) {
    if (/\.json$/i.test(model)) return readModelDictionary(model);
    throw new TandemError('TANDEM_UNKNOWN_NAME', `"${model}" names no transformer by its shape.`, {
      place,
      remedy: `Use ${FLEXIBERT} before one of ${ARCHITECTURE_NAMES.join(', ')} or before a list of 37 numbers, or the path of a model dictionary that ends in .json.`,
    });
  }
  const rest = model.slice(FLEXIBERT.length).trim();
  return rest.startsWith('[') ? decodeTransformer(numbers(rest, place), place) : namedArchitecture(rest, place);
}

function numbers(list: string, place: string): number[] {
  try {
    return JSON.parse(list);
  } catch (cause) {
    throw new TandemError('TANDEM_CONFIG_INVALID', 'The numbers of the transformer do not parse as a list.', {
      place,
      remedy: "Write them between brackets with commas between them, and quote the whole: 'flexibert:[0, 1, …]'.",
      cause,
    });
  }
}

/**
 * Every failure that a user can cause or meet has a stable code, the place where it happened, and a remedy.
 * The catalogue below is the single list of codes; docs/errors.md holds one section for each, and a test keeps the two equal.
 */
export const ERROR_CODES = {
  // usage and configuration: exit code 2
  TANDEM_USAGE: { exit: 2, summary: 'The command line is not understood.' },
  TANDEM_CONFIG_SYNTAX: { exit: 2, summary: 'A YAML or JSON file does not parse.' },
  TANDEM_CONFIG_INVALID: { exit: 2, summary: 'A setting is missing, of the wrong type or out of range.' },
  TANDEM_UNKNOWN_SETTING: { exit: 2, summary: 'A key or path names no setting.' },
  TANDEM_UNKNOWN_NAME: {
    exit: 2,
    summary: 'No model, data set, corpus, technique, machine, preset or transformer has this name.',
  },
  TANDEM_PROMPT_INVALID: {
    exit: 2,
    summary: 'A prompt is empty, does not fit into the context, or is not text.',
  },
  TANDEM_FILE_NOT_FOUND: { exit: 2, summary: 'A file or folder that was named does not exist.' },
  TANDEM_PACKAGE_MISSING: { exit: 2, summary: 'A package that carries a model or data is not installed.' },
  TANDEM_RUN_EXISTS: { exit: 2, summary: 'The folder for a run already holds something.' },
  TANDEM_CANNOT_RESUME: { exit: 2, summary: 'A folder holds no run that can be continued.' },
  TANDEM_PROVIDER_UNAVAILABLE: { exit: 2, summary: 'ONNX Runtime does not offer an execution provider.' },
  // bad input and failures at run time: exit code 1
  TANDEM_OPERATOR_UNKNOWN: { exit: 1, summary: 'ONNX Runtime does not know an operator of the graph.' },
  TANDEM_GRAPH_REJECTED: { exit: 1, summary: 'ONNX Runtime does not accept a graph.' },
  TANDEM_FEED_INVALID: { exit: 1, summary: 'What a run feeds or fetches does not fit the graph.' },
  TANDEM_RUN_FAILED: { exit: 1, summary: 'ONNX Runtime failed while it ran a graph.' },
  TANDEM_LOSS_NOT_FINITE: { exit: 1, summary: 'The loss or its gradient became NaN or infinite in training.' },
  TANDEM_ABORTED: { exit: 1, summary: 'A run was stopped before its end.' },
  TANDEM_FILE_UNREADABLE: { exit: 1, summary: 'A file exists but may not or cannot be read.' },
  TANDEM_NOT_WRITABLE: { exit: 1, summary: 'A file or folder cannot be written.' },
  TANDEM_DISK_FULL: { exit: 1, summary: 'The disk has no room left.' },
  TANDEM_RUN_LOCKED: { exit: 1, summary: 'Another process is working in the run folder.' },
  TANDEM_RUN_DAMAGED: { exit: 1, summary: 'Files of a run differ from what the run wrote.' },
  TANDEM_DATA_INVALID: { exit: 1, summary: 'A data set is empty, malformed, or has a single class.' },
  TANDEM_CHECKPOINT_INVALID: { exit: 1, summary: 'Weight files are damaged or do not belong to the model.' },
  TANDEM_TOKENIZER_INVALID: { exit: 1, summary: 'A tokenizer does not load or does not belong to the model.' },
  TANDEM_NO_GRADIENT: { exit: 1, summary: 'A gradient is needed where none exists.' },
  TANDEM_WORKLOAD_INVALID: {
    exit: 1,
    summary: 'A list of layers or of requests to memory is malformed or holds an impossible value.',
  },
  TANDEM_INTERNAL: { exit: 1, summary: 'Tandem contradicts itself: a defect worth reporting.' },
  TANDEM_CONSERVATION: { exit: 1, summary: 'A simulation broke one of its conservation laws.' },
  TANDEM_NOT_A_TRACE: { exit: 1, summary: 'A file does not begin like a trace.' },
  TANDEM_TRACE_VERSION: { exit: 1, summary: 'A trace has a format version that this Tandem does not read.' },
  TANDEM_TRACE_CORRUPT: { exit: 1, summary: 'Bytes of a trace contradict its checksums or its own lengths.' },
  TANDEM_TRACE_TRUNCATED: { exit: 1, summary: 'A trace ends before its end record.' },
  TANDEM_TRACE_INCONSISTENT: { exit: 1, summary: 'Records of a trace contradict each other or themselves.' },
  TANDEM_MODEL_UNREADABLE: { exit: 1, summary: 'Bytes are not an ONNX model, or only a part of one.' },
  TANDEM_MODEL_INVALID: { exit: 1, summary: 'A model contradicts itself: its graph or its weights.' },
  TANDEM_MODEL_UNSUPPORTED: { exit: 1, summary: 'A model uses a part of ONNX that Tandem does not read.' },
  TANDEM_MODEL_TOO_LARGE: { exit: 1, summary: 'A model exceeds the 2 GiB of one .onnx file.' },
  TANDEM_EXTERNAL_DATA: { exit: 1, summary: 'Weights outside the .onnx file are missing or out of bounds.' },
  TANDEM_WEIGHTS_NOT_FINITE: { exit: 1, summary: 'A weight is NaN or infinite.' },
  TANDEM_FUSED_ATTENTION: { exit: 1, summary: 'Attention is fused into one opaque operator.' },
  TANDEM_TARGET_UNREACHABLE: {
    exit: 1,
    summary: 'A sparsity, accuracy or threshold lies outside of what was measured.',
  },
  TANDEM_SHAPE_MISMATCH: { exit: 1, summary: 'The shapes that a node of the graph is given do not fit together.' },
  TANDEM_INTERRUPTED: { exit: 130, summary: 'The work was interrupted (Ctrl-C) before it was done.' },
  // a result, not a failure, but scripts want to tell it apart: exit code 3
  TANDEM_INFEASIBLE: { exit: 3, summary: 'The workload does not fit the machine.' },
} as const satisfies Record<string, { exit: number; summary: string }>;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface ErrorDetails {
  /** Where: a file with line and column, a path inside a configuration, a node of a graph, a byte offset. */
  place?: string;
  /** What the user can do about it, including the allowed values or the nearest name. */
  remedy?: string;
  cause?: unknown;
}

/** An error that the command line prints as `code: message`, place and remedy, without a stack. */
export class TandemError extends Error {
  readonly code: ErrorCode;
  readonly place: string | undefined;
  readonly remedy: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'TandemError';
    this.code = code;
    this.place = details.place;
    this.remedy = details.remedy;
  }

  get exitCode(): number {
    return ERROR_CODES[this.code].exit;
  }
}

/** The public API: the contracts between the parts, the doors through which extensions come in, and the pipeline. */

export { corpora } from './data/corpora.js';
export { datasets } from './data/registry.js';
export { loadText, type TextRequest } from './data/text.js';
export * from './data/types.js';
// Errors and registries
export { ERROR_CODES, type ErrorCode, type ErrorDetails, TandemError } from './errors.js';
// Experiments
export * from './experiment/api.js';
export * from './experiment/decoder-widths/result.js';
export * from './experiment/decoding/result.js';
export {
  decoderWidthsJsonSchema,
  decodingJsonSchema,
  experimentJsonSchema,
  machineJsonSchema,
} from './experiment/json-schema.js';
export {
  type Loaded,
  type LoadedDecoding,
  type LoadedExperiment,
  loadExperiment,
  parseExperiment,
} from './experiment/load.js';
export { type MachineRequest, type ResolvedMachine, resolveMachine } from './experiment/machines.js';
export { createProgress, type Progress, type ProgressTask, silentProgress } from './experiment/progress.js';
export * from './experiment/result.js';
export { evaluateModel, exportModel, runExperiment, trainModel } from './experiment/run.js';
export { RunFolder, type Stage } from './experiment/run-folder.js';
export type { Experiment } from './experiment/schema.js';
export { gemmSource, simulateMachines, traceSource, type WorkloadSource } from './experiment/simulate.js';
export { lookUpThreshold, type ThresholdLookup } from './experiment/threshold.js';
export { GraphBuilder } from './graph/builder.js';
export { withDefaults, withFixedDefaults } from './graph/edit.js';
export { type DifferentiateOptions, differentiate } from './graph/gradients/index.js';
export { readModelFile, writeModelFile } from './graph/onnx/files.js';
export { decodeModel, encodeModel } from './graph/onnx/index.js';
export { type AttentionBlock, findAttention } from './graph/patterns/attention.js';
// The model as data
export * from './graph/types.js';
export { presetNames, readPreset } from './hardware/preset-files.js';
export { type Preset, parsePreset, presetConfig } from './hardware/presets.js';
// Machines and what they cost
export * from './hardware/types.js';
export { BytePairTokenizer, type BytePairVocabulary, encodeDocuments } from './models/byte-pair.js';
export { readBytePairTokenizer, tokenizerJson } from './models/byte-pair-files.js';
export { trainBytePairs } from './models/byte-pair-training.js';
export { modelFamilies } from './models/registry.js';
// Models, data, techniques
export * from './models/types.js';
export { type Named, Registry } from './registry.js';
// Reports
export type { Report } from './report/assemble.js';
export { renderDecoderWidths } from './report/decoder-widths.js';
export { renderDecoding } from './report/decoding.js';
export { writeRendered, writeReport } from './report/files.js';
export { renderReport, renderSimulation } from './report/report.js';
export { type EvaluateOptions, evaluate } from './runtime/evaluate.js';
export { Session } from './runtime/session.js';
export { type TrainOptions, train } from './runtime/train.js';
export { Trainer, type TrainerOptions } from './runtime/trainer.js';
// Running and training it
export * from './runtime/types.js';
export { checkMachine, type MachineSubject } from './simulator/conformance.js';
export { ConservationLaws } from './simulator/conservation.js';
export { machines } from './simulator/registry.js';
export * from './simulator/types.js';
export { checkTechnique, type TechniqueSubject } from './techniques/conformance.js';
export {
  accuracyAt,
  type ProfilePoint,
  parseProfile,
  type SparsityProfile,
  sparsityAt,
  type ThresholdTarget,
  thresholdFor,
} from './techniques/profile.js';
export { techniques } from './techniques/registry.js';
export * from './techniques/types.js';
export { decodeTrace } from './trace/decode.js';
export { encodeEnd, encodeHeader, encodeRecord } from './trace/encode.js';
export { openTrace, TraceWriter, writeTrace } from './trace/files.js';
export { summariseTrace, TraceStatistics, type TraceSummary } from './trace/statistics.js';
// What a run really needed
export * from './trace/types.js';
export { tandemVersion } from './version.js';
export { readScaleSimConfig, readTopology } from './workload/files.js';
export type { GemmLayer } from './workload/types.js';

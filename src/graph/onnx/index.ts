export { type DecodeOptions, decodeModel } from './decode.js';
export { encodeModel, encodeSplitModel, type SplitModel, weightBytes } from './encode.js';
export type { ExternalDataSource } from './tensors.js';

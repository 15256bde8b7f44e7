/** The pipeline is loaded by the commands that need it: the runtime behind it takes a while, and `--help` must not. */
import type { DecoderWidthsPipeline, DecodingPipeline, Pipeline, TextGenerator } from '../experiment/api.js';

export const loadPipeline = (): Promise<Pipeline> => import('../experiment/run.js');

export const loadDecoding = (): Promise<DecodingPipeline> => import('../experiment/decoding/run.js');

export const loadDecoderWidths = (): Promise<DecoderWidthsPipeline> => import('../experiment/decoder-widths/run.js');

export const loadGenerator = (): Promise<TextGenerator> => import('../experiment/decoding/generate.js');

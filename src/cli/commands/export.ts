import { Command, Option } from 'commander';
import type { ExportRequest, ExportSummary } from '../../experiment/api.js';
import { type Column, formatTable, type TableFormat } from '../../report/tables.js';
import type { CliContext } from '../context.js';
import { formatOption } from '../options.js';
import { loadPipeline } from '../pipeline.js';

const columns: readonly Column<ExportSummary>[] = [
  { key: 'output', header: 'file', value: ({ output }) => output },
  { key: 'model', header: 'model', value: ({ model }) => model },
  { key: 'bytes', header: 'bytes', value: ({ bytes }) => bytes },
  { key: 'inputs', header: 'inputs', value: ({ inputs }) => inputs.join(' ') },
  { key: 'outputs', header: 'outputs', value: ({ outputs }) => outputs.join(' ') },
  { key: 'sha256', header: 'SHA-256', value: ({ sha256 }) => sha256, text: ({ sha256 }) => `${sha256.slice(0, 12)}…` },
];

export function exportCommand(context: CliContext): Command {
  return new Command('export')
    .description('Write a trained model of a run as an .onnx file, with the technique built in.')
    .argument('<run>', 'run folder')
    .requiredOption('-o, --output <file.onnx>', 'file to write')
    .addOption(new Option('--model <model>', 'which model').choices(['adapted', 'baseline']).default('adapted'))
    .addOption(formatOption())
    .action(async (run: string, { format, ...options }: Omit<ExportRequest, 'run'> & { format: TableFormat }) => {
      const { exportModel } = await loadPipeline();
      const summary = await exportModel({ run, ...options }, { progress: context.progress, signal: context.signal });
      context.progress.stop();
      context.stdout.write(formatTable([summary], columns, format));
    });
}

import { describe, expect, it } from 'vitest';
import { shellWord, writeFailure } from '../../src/experiment/file-errors.js';

describe('a failed write', () => {
  it.each([
    ['ENOSPC', 'TANDEM_DISK_FULL', /Free some space/],
    ['EROFS', 'TANDEM_NOT_WRITABLE', /that you may write to/],
    ['ENOENT', 'TANDEM_NOT_WRITABLE', /folder exists/],
    ['EISDIR', 'TANDEM_NOT_WRITABLE', /name a file in it/],
  ])('%s says what to do', (code, error, remedy) => {
    const cause = Object.assign(new Error(code), { code });
    expect(writeFailure('out/x.onnx', cause)).toMatchObject({
      code: error,
      place: 'out/x.onnx',
      remedy: expect.stringMatching(remedy),
    });
  });
});

describe('a path in a command to copy', () => {
  it.each([
    ['runs/spam-2', 'runs/spam-2'],
    ['my runs/größe', "'my runs/größe'"],
    ["it's", "'it'\\''s'"],
  ])('%s is one word for the shell: %s', (path, word) => {
    expect(shellWord(path)).toBe(word);
  });
});

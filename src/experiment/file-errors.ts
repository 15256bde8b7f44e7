/** Turns what the operating system says about files into errors that say what to do. */
import { TandemError } from '../errors.js';

/** A path as one word of a command line that can be copied. */
export function shellWord(path: string): string {
  return /^[\w./:@%+=,-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

const errno = (cause: unknown): string | undefined => (cause as NodeJS.ErrnoException | undefined)?.code;

/** @throws TANDEM_FILE_NOT_FOUND, TANDEM_FILE_UNREADABLE; other errors pass through */
export async function readable<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    switch (errno(cause)) {
      case 'ENOENT':
      case 'ENOTDIR':
        throw new TandemError('TANDEM_FILE_NOT_FOUND', `There is no file "${path}".`, {
          place: path,
          remedy: 'Check the path; relative paths start at the current folder.',
          cause,
        });
      case 'EISDIR':
        throw new TandemError('TANDEM_FILE_UNREADABLE', `"${path}" is a folder, not a file.`, {
          place: path,
          remedy: 'Name a file in it.',
          cause,
        });
      case 'EACCES':
      case 'EPERM':
        throw new TandemError('TANDEM_FILE_UNREADABLE', `"${path}" may not be read.`, {
          place: path,
          remedy: 'Give yourself permission to read it (chmod), or run as its owner.',
          cause,
        });
      default:
        throw cause;
    }
  }
}

/** @throws TANDEM_DISK_FULL, TANDEM_NOT_WRITABLE; other errors pass through */
export async function writable<T>(path: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (cause) {
    throw writeFailure(path, cause);
  }
}

const WRITE_REMEDIES: Readonly<Record<string, string>> = {
  ENOENT: 'Check that its folder exists and that you may write there, or choose another place.',
  ENOTDIR: 'A part of the path is a file, not a folder: choose another place.',
  EISDIR: 'It is a folder: name a file in it.',
  ENAMETOOLONG: 'Choose a shorter name.',
};

/** What a failed write means, for writers that have their own way to catch. */
export function writeFailure(path: string, cause: unknown): unknown {
  switch (errno(cause)) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return new TandemError('TANDEM_DISK_FULL', `The disk has no room left for "${path}".`, {
        place: path,
        remedy: 'Free some space and continue with `tandem run --resume FOLDER`, or choose another disk with --out.',
        cause,
      });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
    case 'ENOENT':
    case 'ENOTDIR':
    case 'EEXIST':
    case 'EISDIR':
    case 'ENAMETOOLONG':
      return new TandemError('TANDEM_NOT_WRITABLE', `"${path}" cannot be written (${errno(cause)}).`, {
        place: path,
        remedy: WRITE_REMEDIES[errno(cause)!] ?? 'Choose a place that you may write to, e.g. with --out.',
        cause,
      });
    default:
      return cause;
  }
}

/** Turns what the operating system says about files into errors that say what to do. */
import { TandemError } from '../errors.js';

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
        remedy: 'Choose a folder that you may write to with --out.',
        cause,
      });
    default:
      return cause;
  }
}

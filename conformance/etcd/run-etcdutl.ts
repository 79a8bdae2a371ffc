/** Our etcdutl, run to its end by a test. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const wherry = new URL('../../bin/wherry', import.meta.url).pathname;

/** What a command said, and how it ended. */
export interface Said {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

/** Never rejects for what the command does. */
export async function etcdutl(...args: readonly string[]): Promise<Said> {
  try {
    return { ...(await run(wherry, ['etcdutl', ...args])), code: 0 };
  } catch (error) {
    const { stdout, stderr, code } = error as Said;
    return { stdout, stderr, code };
  }
}

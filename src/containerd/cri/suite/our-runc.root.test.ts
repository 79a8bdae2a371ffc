/** The CRI suite on Debian's containerd with our runc below it: the runtime's command line as its most demanding caller calls it. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { containerdSuite } from './containerd.suite.ts';

const runc = fileURLToPath(new URL('../../../../bin/runc', import.meta.url));
// The bundle is made now, not by several calls at once.
execFileSync(runc, ['--version']);
containerdSuite(runc);

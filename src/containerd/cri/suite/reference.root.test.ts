/** The CRI suite on Debian's containerd: what fails here is wrong in the suite. */
import { containerdSuite } from './containerd.suite.ts';

containerdSuite();

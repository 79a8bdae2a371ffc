/** The files that a kubelet keeps: volumes and logs of its pods. On this machine they are the machine's own; a hollow node keeps them in memory. */
import {
  kindOf,
  listFolder,
  makeFolder,
  readIfThere,
  readLinkIfThere,
  realPath,
  removeTree,
  replaceFile,
  replaceLink,
  setMode,
  setOwner,
} from './files.ts';
import { openTail } from './tail.ts';

const files = {
  kindOf,
  listFolder,
  makeFolder,
  openTail,
  readIfThere,
  readLinkIfThere,
  realPath,
  removeTree,
  replaceFile,
  replaceLink,
  setMode,
  setOwner,
};

export type NodeFiles = Readonly<typeof files>;

/** This machine's. */
export const hostNodeFiles: NodeFiles = files;

/** Numbers of bbolt's file format, version 2, and the checksum of its meta pages. (upstream: go.etcd.io/bbolt) */

export const magic = 0xed0cdaed;
export const version = 2;
export const pageHeaderBytes = 16;
/** A branch's and a leaf's elements are equally large. */
export const elementBytes = 16;
/** Root page and sequence of a bucket. */
export const bucketBytes = 16;
/** The part of a meta page that its checksum covers, from the end of the page's header. */
export const metaBytes = 56;
/** Where a meta page says there is no list of free pages. */
export const noFreelist = 0xffff_ffff_ffff_ffffn;

export const PageFlag = { branch: 0x01, leaf: 0x02, meta: 0x04, freelist: 0x10 } as const;
/** A leaf's element that is a bucket. */
export const bucketFlag = 0x01;

export class BboltError extends Error {
  override readonly name = 'BboltError';
}

/** FNV-1a of 64 bits. */
export function fnv64a(bytes: Uint8Array): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffff_ffff_ffff_ffffn;
  return hash;
}

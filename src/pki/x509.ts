/**
 * The X.509 library, loaded when first asked for: it costs a tenth of a second, and a cluster whose certificates are on
 * disk and fresh never needs it.
 */
import type * as Library from '@peculiar/x509';

export type X509 = typeof Library;

export async function loadX509(): Promise<X509> {
  // The library's dependency injection wants this polyfill before it.
  await import('reflect-metadata');
  return import('@peculiar/x509');
}

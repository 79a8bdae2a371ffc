/**
 * The X.509 library, loaded when first asked for: it costs a tenth of a second, and a cluster whose certificates are on
 * disk and fresh never needs it.
 */
import type * as Library from '@peculiar/x509';

export type X509 = typeof Library;

export async function loadX509(): Promise<X509> {
  // The library's dependency injection wants this polyfill before it.
  await import('reflect-metadata');
  const library = (await import('@peculiar/x509')) as Partial<X509> & { readonly default: X509 };
  // In the bundle a CommonJS package is one default export; Node finds its names by itself.
  return library.X509CertificateGenerator === undefined ? library.default : (library as unknown as X509);
}

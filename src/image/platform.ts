/**
 * Which of an index's images runs here. Architectures are Go's names. Normal forms and the order of preference are those of
 * github.com/containerd/platforms.
 */
import type { Descriptor, Platform } from '#api-oci/image-spec.ts';

/** `x86_64` and friends under one name; the default variant of an architecture is left out. */
export function normalizePlatform(platform: Platform): Platform {
  const os = platform.os.toLowerCase() === 'macos' ? 'darwin' : platform.os.toLowerCase();
  let architecture = platform.architecture.toLowerCase();
  let variant = (platform.variant ?? '').toLowerCase();
  switch (architecture) {
    case 'i386':
      architecture = '386';
      variant = '';
      break;
    case 'x86_64':
    case 'x86-64':
    case 'amd64':
      architecture = 'amd64';
      if (variant === 'v1') variant = '';
      break;
    case 'aarch64':
    case 'arm64':
      architecture = 'arm64';
      if (variant === '8' || variant === 'v8') variant = '';
      break;
    case 'armhf':
      architecture = 'arm';
      variant = 'v7';
      break;
    case 'armel':
      architecture = 'arm';
      variant = 'v6';
      break;
    case 'arm':
      if (variant === '' || variant === '7') variant = 'v7';
      else if (/^[568]$/.test(variant)) variant = `v${variant}`;
  }
  return { os, architecture, ...(variant === '' ? {} : { variant }) };
}

/** `linux/arm/v7`. */
export function formatPlatform(platform: Platform): string {
  const { os, architecture, variant } = normalizePlatform(platform);
  return `${os}/${architecture}${variant === undefined ? '' : `/${variant}`}`;
}

/** What a machine of the platform `host` runs, best first. */
export function runnablePlatforms(host: Platform): string[] {
  const { os, architecture, variant } = normalizePlatform(host);
  switch (architecture) {
    case 'amd64': {
      const level = Number((variant ?? 'v1').slice(1));
      const levels = Array.from({ length: level }, (_, i) => level - i);
      return [...levels.map((n) => (n === 1 ? `${os}/amd64` : `${os}/amd64/v${n}`)), `${os}/386`];
    }
    case 'arm64':
      return [`${os}/arm64`, ...['v8', 'v7', 'v6', 'v5'].map((v) => `${os}/arm/${v}`)];
    case 'arm': {
      const level = Number((variant ?? 'v7').slice(1));
      return Array.from({ length: level - 4 }, (_, i) => `${os}/arm/v${level - i}`);
    }
    default:
      return [formatPlatform(host)];
  }
}

/** The best of an index's entries for `host`; of equals the first. An entry without a platform matches last. */
export function chooseManifest(manifests: readonly Descriptor[], host: Platform): Descriptor | undefined {
  const order = runnablePlatforms(host);
  let best: Descriptor | undefined;
  let bestRank = order.length + 1;
  for (const manifest of manifests) {
    const rank = manifest.platform === undefined ? order.length : order.indexOf(formatPlatform(manifest.platform));
    if (rank >= 0 && rank < bestRank) {
      best = manifest;
      bestRank = rank;
    }
  }
  return best;
}

/** This machine's platform from Node's names. */
export function hostPlatform(nodeArchitecture: string): Platform {
  const names: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };
  return normalizePlatform({ os: 'linux', architecture: names[nodeArchitecture] ?? nodeArchitecture });
}

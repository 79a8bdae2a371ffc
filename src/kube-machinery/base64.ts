/** Base64 as Go's decoder takes it: padded, line breaks skipped, and a refusal that says where. */

/** Index of the byte at which Go's StdEncoding gives up; undefined for what it decodes. */
export function base64Fault(text: string): number | undefined {
  let inQuantum = 0;
  let quantumStart = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 10 || code === 13) continue;
    if (code !== 61) {
      if (!isAlphabet(code)) return at;
      if (inQuantum === 0) quantumStart = at;
      inQuantum = (inQuantum + 1) % 4;
      continue;
    }
    // The padding ends all: one sign after three characters, two after two.
    if (inQuantum < 2) return at;
    let next = skipBreaks(text, at + 1);
    if (inQuantum === 2) {
      if (next === text.length) return text.length;
      if (text.charCodeAt(next) !== 61) return next - 1;
      next = skipBreaks(text, next + 1);
    }
    return next < text.length ? next : undefined;
  }
  return inQuantum === 0 ? undefined : quantumStart;
}

function skipBreaks(text: string, from: number): number {
  let at = from;
  while (at < text.length && (text[at] === '\n' || text[at] === '\r')) at++;
  return at;
}

function isAlphabet(code: number): boolean {
  return (
    (code >= 65 && code <= 90) ||
    (code >= 97 && code <= 122) ||
    (code >= 48 && code <= 57) ||
    code === 43 ||
    code === 47
  );
}

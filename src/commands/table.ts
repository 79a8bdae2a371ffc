/** Columns for people, as kubectl aligns them: three spaces apart, the last one ragged. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [headings, ...rows];
  const widths = headings.map((_, i) => Math.max(...all.map((row) => row[i]!.length)) + 3);
  const line = (row: readonly string[]) => row.map((cell, i) => (i < row.length - 1 ? cell.padEnd(widths[i]!) : cell));
  return all.map((row) => `${line(row).join('')}\n`).join('');
}

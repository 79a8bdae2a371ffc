/** What a code generator is to `gen.ts`. */

/** One generator: what it reads, and how it makes its files. Paths are relative to the repository. */
export interface Generator {
  readonly name: string;
  /** Folder that the generator owns: emptied before it writes. */
  readonly outputFolder: string;
  /** Files whose bytes decide whether it must run again; its own sources belong here too. */
  inputs(root: string): readonly string[];
  /** Returns the files to write, by path relative to `outputFolder`. */
  run(root: string): Promise<ReadonlyMap<string, string>>;
}

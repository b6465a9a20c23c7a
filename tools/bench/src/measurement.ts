/**
 * A subcommand: takes what follows its name, prints its result on stdout and all else on stderr.
 * Gives the exit code.
 */
export type Measurement = (args: readonly string[]) => Promise<number>;

/** What can be measured, a line each. */
export function formatHelp(
  measurements: Readonly<Record<string, { readonly summary: string }>>,
): string {
  const lines = Object.entries(measurements).map(
    ([name, { summary }]) => `  ${name.padEnd(10)} ${summary}`,
  );
  return ['usage: npm run bench -- NAME [FLAGS]   (NAME --help says which)', ...lines, ''].join(
    '\n',
  );
}

/** What is packed where nothing is named: the checks, and what they check. */
const usual = ['gpu-bundle', 'goldens', 'emloc'];

/**
 * What the folder holds, from the names that pack.mjs was given: programs, and Python scripts of
 * tools/gpu-bundle.
 * @param {readonly string[]} names
 * @param {{ programs: readonly string[], scripts: readonly string[] }} available
 * @returns {{ programs: string[], scripts: string[] }}
 * @throws Error for a name that is neither
 */
export function selectContents(names, { programs, scripts }) {
  for (const name of names)
    if (![...programs, ...scripts].includes(name))
      throw new Error(
        `gpu-bundle: there is no ${name}; programs: ${programs.join(', ')}; scripts: ${scripts.join(', ')}`,
      );
  const named = programs.filter((name) => names.includes(name));
  return {
    programs: named.length > 0 ? named : programs.filter((name) => usual.includes(name)),
    scripts: scripts.filter((name) => names.includes(name)),
  };
}

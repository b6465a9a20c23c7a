/** What is packed where nothing is named: the checks, and what they check. */
const usual = ['gpu-bundle', 'goldens', 'emloc'];

/** Native packages that are packed only where they are named: text needs no decoder of images. */
const optionalPackages = ['sharp'];

/**
 * What the folder holds, from the names that pack.mjs was given: programs, Python scripts of
 * tools/gpu-bundle, and packages.
 * @param {readonly string[]} names
 * @param {{ programs: readonly string[], scripts: readonly string[] }} available
 * @returns {{ programs: string[], scripts: string[], packages: string[] }}
 * @throws Error for a name that is none of them
 */
export function selectContents(names, { programs, scripts }) {
  for (const name of names)
    if (![...programs, ...scripts, ...optionalPackages].includes(name))
      throw new Error(
        `gpu-bundle: there is no ${name}; programs: ${programs.join(', ')}; scripts: ${scripts.join(', ')}; packages: ${optionalPackages.join(', ')}`,
      );
  const named = programs.filter((name) => names.includes(name));
  return {
    programs: named.length > 0 ? named : programs.filter((name) => usual.includes(name)),
    scripts: scripts.filter((name) => names.includes(name)),
    packages: optionalPackages.filter((name) => names.includes(name)),
  };
}

/**
 * Module paths of wrappers around a language model before transformers 4.52, and what took their
 * place. Checkpoints have either, and so have adapters.
 */
const renamed: readonly (readonly [former: string, current: string])[] = [
  ['language_model.model', 'model.language_model'],
  ['language_model.lm_head', 'lm_head'],
  ['language_model.output', 'output'],
  ['vision_tower', 'model.vision_tower'],
  ['multi_modal_projector', 'model.multi_modal_projector'],
];

/** The name that transformers has today for a module or tensor of a wrapper; others as given. */
export function currentName(name: string): string {
  return replaced(name, renamed) ?? name;
}

/**
 * What something that may be named as in either version of a wrapper is called here; the name of
 * today is preferred where both are known. undefined: there is none.
 */
export function knownName(
  name: string,
  isKnown: (candidate: string) => boolean,
): string | undefined {
  const current = currentName(name);
  const former = replaced(
    current,
    renamed.map(([before, after]) => [after, before]),
  );
  return [current, former ?? current].find(isKnown);
}

function replaced(
  name: string,
  prefixes: readonly (readonly [from: string, to: string])[],
): string | undefined {
  const found = prefixes.find(([from]) => name === from || name.startsWith(`${from}.`));
  return found && `${found[1]}${name.slice(found[0].length)}`;
}

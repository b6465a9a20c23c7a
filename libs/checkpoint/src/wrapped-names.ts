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
 * What something is called here that may be named as in either version of a wrapper, or as in the
 * class of its language model alone; the wrapper's name of today is preferred to that of before,
 * and the class that names it to the other one. undefined: there is none.
 */
export function knownName(
  name: string,
  isKnown: (candidate: string) => boolean,
): string | undefined {
  const current = currentName(name);
  const other = nameInOtherClass(current);
  return [current, ...(other === undefined ? [] : [other])]
    .flatMap((each) => [each, formerName(each)])
    .find(isKnown);
}

function formerName(current: string): string {
  const former = renamed.map(([before, after]) => [after, before] as const);
  return replaced(current, former) ?? current;
}

/** Of a decoder's parts: with the wrapper around it, or without it. */
function nameInOtherClass(current: string): string | undefined {
  return (
    replaced(current, [['model.language_model', 'model']]) ??
    replaced(
      current,
      ['layers', 'embed_tokens', 'norm', 'per_layer_model_projection'].map((part) => [
        `model.${part}`,
        `model.language_model.${part}`,
      ]),
    )
  );
}

function replaced(
  name: string,
  prefixes: readonly (readonly [from: string, to: string])[],
): string | undefined {
  const found = prefixes.find(([from]) => name === from || name.startsWith(`${from}.`));
  return found && `${found[1]}${name.slice(found[0].length)}`;
}

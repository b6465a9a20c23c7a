/**
 * Families whose adapters some programs load without a word and without effect, as
 * docs/guide/adapters.md has them in full.
 */
const traps: ReadonlyMap<string, string> = new Map([
  [
    'qwen3_5',
    'The same base opens as two classes whose module paths differ; this adapter has those of the class in the base’s `config.json`. Onto the other it changes nothing, in PEFT with a warning, in vLLM without a word. llama.cpp does not convert adapters on delta nets: merge first.',
  ],
  [
    'gemma4',
    'Module paths are those of the class in the base’s `config.json`; onto another class the adapter changes nothing. For llama.cpp merge first.',
  ],
]);

/** What whoever loads an adapter of a family must know; null: nothing. */
export function loadingTrap(family: string): string | null {
  return traps.get(family) ?? null;
}

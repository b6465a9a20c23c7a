import { quote } from '../errors.js';
import type { JsonObject, JsonPart } from '../json.js';
import { clip } from './byte-pair-classes.js';
import type { ConvertedVocabulary } from './class-options.js';
import { metaspace } from './piece-steps.js';
import { extraIds } from './piece-vocabulary.js';

/** Classes that take only the vocabulary from tokenizer.json, and read text their own way. */
export type RereadClass = 'CLIPTokenizer' | 'T5Tokenizer';

/**
 * What the class of transformers makes of tokenizer.json: model, added tokens and, for T5, the
 * table of replacements are the file's; how text is split and what stands around it the class's.
 * @throws TokenizerError where the model is of another kind
 */
export function convertDefinition(
  definition: JsonPart,
  name: RereadClass,
  config: JsonPart,
): ConvertedVocabulary {
  return name === 'CLIPTokenizer' ? asClip(definition, config) : asT5(definition, config);
}

function asClip(definition: JsonPart, config: JsonPart): ConvertedVocabulary {
  const model = modelOf(definition, 'BPE');
  return {
    definition: {
      ...definition.object,
      model: { ...model, ...clip.modelParts(config) },
      ...clip.textParts(config),
    },
    tokens: clip.tokens,
    affixes: clip.affixes(config),
  };
}

function asT5(definition: JsonPart, config: JsonPart): ConvertedVocabulary {
  const model = modelOf(definition, 'Unigram');
  const spaces = metaspace('always', true);
  return {
    definition: {
      ...definition.object,
      model: { ...model, byte_fallback: false },
      normalizer: replacementsOf(definition.get('normalizer')),
      pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'WhitespaceSplit' }, spaces] },
      decoder: spaces,
    },
    tokens: {
      eos_token: '</s>',
      unk_token: '<unk>',
      pad_token: '<pad>',
      additional_special_tokens: extraIds({ config }).toReversed(),
    },
    affixes: { prefix: [], suffix: ['eos_token'] },
  };
}

/** Old files do not name the type. */
function modelOf(definition: JsonPart, type: 'BPE' | 'Unigram'): JsonObject {
  const model = definition.get('model');
  const named = model.get('type');
  if (!named.isAbsent && named.text !== type)
    named.fail(`is ${quote(named.text)}, the model of this tokenizer must be ${type}`);
  return { ...model.object, type };
}

/** The first table of replacements, null where there is none. */
function replacementsOf(part: JsonPart): JsonObject | null {
  if (part.isAbsent) return null;
  const isSequence = part.get('type').value === 'Sequence';
  const steps = isSequence ? part.get('normalizers').items : [part];
  return steps.find((step) => step.get('type').value === 'Precompiled')?.object ?? null;
}

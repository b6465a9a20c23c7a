import { quote } from '../errors.js';
import { isObject, type JsonObject, type JsonPart } from '../json.js';
import { bytePairClasses, type BytePairClass } from './byte-pair-classes.js';
import { bytePairFiles } from './convert-byte-pairs.js';
import { pieceClasses, type PieceClass } from './piece-classes.js';

export type TokenizerClass = PieceClass | BytePairClass;

/** Classes of models whose files name none, by `model_type`. */
const classesOfModels: ReadonlyMap<string, string> = new Map([
  ...['llama', 'mistral', 'mixtral', 'phi3'].map((type) => [type, 'LlamaTokenizer'] as const),
  ...['gemma', 'gemma2', 'gemma3', 'gemma3_text'].map((type) => [type, 'GemmaTokenizer'] as const),
  ...['qwen2', 'qwen2_moe', 'qwen2_5_vl', 'qwen2_vl', 'qwen3', 'qwen3_moe'].map(
    (type) => [type, 'Qwen2Tokenizer'] as const,
  ),
  ['internlm2', 'InternLM2Tokenizer'],
  ['internlm3', 'InternLM3Tokenizer'],
  ['gpt2', 'GPT2Tokenizer'],
  ['phi', 'CodeGenTokenizer'],
  ['t5', 'T5Tokenizer'],
  ['clip', 'CLIPTokenizer'],
  ['clip_text_model', 'CLIPTokenizer'],
  ['xlm-roberta', 'XLMRobertaTokenizer'],
]);

/** Files that some class reads its vocabulary from, where tokenizer.json is not there. */
export const vocabularyFiles: readonly string[] = [
  ...new Set([...pieceClasses.values()].map(({ file }) => file)),
  ...Object.values(bytePairFiles),
];

/** What to do where a folder's own files are not enough. */
export const saveAdvice =
  'save the tokenizer with transformers, which writes tokenizer.json: ' +
  'AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)';

/**
 * The class of transformers that reads the files of a folder without tokenizer.json: the one that
 * tokenizer_config.json names, else config.json, else the usual one of the kind of model.
 * @throws TokenizerError
 */
export function tokenizerClassOf(config: JsonPart, model: JsonPart): TokenizerClass {
  const named = [config.get('tokenizer_class'), model.get('tokenizer_class')].find(
    (part) => !part.isAbsent,
  );
  const name = named?.text ?? classOfModel(model.object);
  if (name === undefined)
    return config
      .get('tokenizer_class')
      .fail(`is missing, and tokenizer.json too, so nothing says how text is split; ${saveAdvice}`);
  const plain = name.replace(/Fast$/, '');
  return (
    pieceClasses.get(plain) ??
    bytePairClasses.get(plain) ??
    (named ?? config).fail(
      `without tokenizer.json ${quote(name)} is not known, only ${knownClasses()} are; ${saveAdvice}`,
    )
  );
}

function knownClasses(): string {
  return [...pieceClasses.keys(), ...bytePairClasses.keys()].join(', ');
}

/** A model of several parts has its text part's. */
function classOfModel(model: JsonObject): string | undefined {
  const parts = [model, model.text_config, model.llm_config].filter(isObject);
  return parts
    .map(({ model_type: type }) =>
      typeof type === 'string' ? classesOfModels.get(type) : undefined,
    )
    .find((name) => name !== undefined);
}

/** A file with weights, or the index of several files beside it. */
interface WeightPath {
  readonly path: string;
  readonly isIndex: boolean;
}

/** What a model needs of the files that there are, by their paths. */
export interface NeededPaths {
  readonly small: readonly string[];
  /** One for each model of the repository. */
  readonly weights: readonly WeightPath[];
  /** What no model can be without and is not there: files, and `folder NAME` for a whole folder. */
  readonly lacks: readonly string[];
}

export const weightsName = 'model.safetensors';
const pipelineName = 'model_index.json';
const configName = 'config.json';

export const tokenizerNames = [
  'tokenizer.json',
  'tokenizer_config.json',
  'tokenizer.model',
  'spiece.model',
  'sentencepiece.bpe.model',
  'vocab.json',
  'vocab.txt',
  'merges.txt',
  'special_tokens_map.json',
  'added_tokens.json',
];
/** Files beside the weights that decide what a model computes and how text becomes tokens. */
export const smallNames: ReadonlySet<string> = new Set([
  configName,
  'generation_config.json',
  ...tokenizerNames,
  'chat_template.jinja',
  'chat_template.json',
]);
export const moreTemplates = /^additional_chat_templates\/[^/]+\.jinja$/;

/** What transformers and diffusers call weights. */
const [usualStem, diffusionStem] = ['model', 'diffusion_pytorch_model'];
/** Copies of the same weights in one dtype, which will do where there are no others. */
const variants = ['bf16', 'fp16', 'fp32'];

const transformerFolder = 'transformer';
/** How a transformer is missing of which there is nothing. */
export const noTransformer = `folder ${transformerFolder}`;
/** The transformer of a diffusion model in one file, in place of its folder. */
const singleTransformer = /^flux1-[^/]*\.safetensors$/i;
const transformerPath = /^transformer\/(config\.json|[^/]+\.safetensors(\.[^/]+)?)$/;

/** The needed ones of the files of a repository, or of what is there of it. */
export function neededPaths(paths: readonly string[]): NeededPaths {
  const there = new Set(paths);
  const weights = weightsIn('', [usualStem], there);
  const isDiffusion =
    there.has(pipelineName) ||
    (weights.length === 0 &&
      paths.some((path) => transformerPath.test(path) || singleTransformer.test(path)));
  if (isDiffusion) return diffusionPaths(there);
  return {
    small: paths.filter((path) => smallNames.has(path) || moreTemplates.test(path)),
    weights,
    lacks: lacking([configName, ...(weights.length === 0 ? [weightsName] : [])], there),
  };
}

/** Of a folder of diffusers with the components of FLUX. */
function diffusionPaths(there: ReadonlySet<string>): NeededPaths {
  const folder = modelIn(transformerFolder, [diffusionStem, usualStem], there);
  const others = joined([
    { small: [pipelineName].filter((path) => there.has(path)), weights: [], lacks: [] },
    filesIn('scheduler', { names: ['scheduler_config.json'] }, there),
    modelIn('text_encoder', [usualStem, diffusionStem], there),
    modelIn('text_encoder_2', [usualStem, diffusionStem], there),
    filesIn('tokenizer', tokenizerOf(['vocab.json', 'merges.txt'], 'tokenizer', there), there),
    filesIn('tokenizer_2', tokenizerOf(['spiece.model'], 'tokenizer_2', there), there),
    modelIn('vae', [diffusionStem, usualStem], there),
  ]);
  const single = [...there].filter((path) => singleTransformer.test(path));
  // One file alone is no model: then its folder is what should be there, as the others are.
  const isSingle = folder.weights.length === 0 && others.lacks.length === 0 && single.length === 1;
  if (!isSingle) return joined([folder, others]);
  return { ...others, weights: [...files(single), ...others.weights] };
}

function joined(parts: readonly NeededPaths[]): NeededPaths {
  return {
    small: parts.flatMap(({ small }) => small),
    weights: parts.flatMap(({ weights }) => weights),
    lacks: parts.flatMap(({ lacks }) => lacks),
  };
}

function modelIn(
  folder: string,
  stems: readonly [string, string],
  there: ReadonlySet<string>,
): NeededPaths {
  const weights = weightsIn(`${folder}/`, stems, there);
  const [usual] = stems;
  const required = weights.length === 0 ? [configName, `${usual}.safetensors`] : [configName];
  return { ...filesIn(folder, { names: [configName], required }, there), weights };
}

interface FolderFiles {
  readonly names: readonly string[];
  /** Default: all of them. */
  readonly required?: readonly string[];
}

function filesIn(
  folder: string,
  { names, required = names }: FolderFiles,
  there: ReadonlySet<string>,
): NeededPaths {
  const isThere = [...there].some((path) => path.startsWith(`${folder}/`));
  const inFolder = (name: string): string => `${folder}/${name}`;
  return {
    small: names.map(inFolder).filter((path) => there.has(path)),
    weights: [],
    lacks: isThere ? lacking(required.map(inFolder), there) : [`folder ${folder}`],
  };
}

/** @param vocabulary the files that will do in place of tokenizer.json */
function tokenizerOf(
  vocabulary: readonly string[],
  folder: string,
  there: ReadonlySet<string>,
): FolderFiles {
  const has = (name: string): boolean => there.has(`${folder}/${name}`);
  const isMeant = !has('tokenizer.json') && vocabulary.some(has);
  return { names: tokenizerNames, required: isMeant ? vocabulary : ['tokenizer.json'] };
}

function lacking(paths: readonly string[], there: ReadonlySet<string>): string[] {
  return paths.filter((path) => !there.has(path));
}

/**
 * The weights of one model: at most one. A folder may have several copies; whoever reads it takes
 * the single file before the index.
 */
function weightsIn(
  prefix: string,
  stems: readonly string[],
  there: ReadonlySet<string>,
): readonly WeightPath[] {
  const plain = stems.flatMap((stem) => weightNames(`${prefix}${stem}.safetensors`));
  const others = variants.flatMap((variant) =>
    stems.flatMap((stem) => variantNames(`${prefix}${stem}`, variant)),
  );
  return [...plain, ...others].filter(({ path }) => there.has(path)).slice(0, 1);
}

function weightNames(path: string): WeightPath[] {
  return [...files([path]), { path: `${path}.index.json`, isIndex: true }];
}

/** Both places where diffusers and transformers have put the variant in an index's name. */
function variantNames(stem: string, variant: string): WeightPath[] {
  return [
    ...files([`${stem}.${variant}.safetensors`]),
    { path: `${stem}.safetensors.index.${variant}.json`, isIndex: true },
    { path: `${stem}.safetensors.${variant}.index.json`, isIndex: true },
  ];
}

function files(paths: readonly string[]): WeightPath[] {
  return paths.map((path) => ({ path, isIndex: false }));
}

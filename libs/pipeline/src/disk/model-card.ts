import { recordFileName } from '@emloc/checkpoint';

import type { JobResult } from '../job/job-result.js';
import type { Job } from '../job/job.js';
import { baseNameOf } from '../options/base-name.js';
import { loadingTrap } from './loading-traps.js';

/** What a card says that stands in no job. */
export interface CardFacts {
  readonly program: string;
  /** An identifier as hubs have it; null: the base's own card does not say. */
  readonly license: string | null;
}

/**
 * The card of an adapter, as model hubs show it: what it is, how it was made, how it is loaded.
 * Equal jobs have equal cards. Of the data it has count and hash, never what stands in it.
 */
export function modelCard(job: Job, result: JobResult, facts: CardFacts): string {
  const { checkpoint, layout } = job.model;
  const base = baseNameOf(job.options.baseName, checkpoint);
  const isHubName = base !== null && base.includes('/');
  const kind = layout.diffusion ? 'pictures' : layout.images ? 'images' : 'text';
  const lines = [
    '---',
    ...(isHubName ? [`base_model: ${JSON.stringify(base)}`] : []),
    `library_name: ${kind === 'pictures' ? 'diffusers' : 'peft'}`,
    ...(facts.license === null ? [] : [`license: ${facts.license}`]),
    `pipeline_tag: ${pipelineTags[kind]}`,
    'tags:',
    ...['emloc', 'lora'].map((tag) => `  - ${tag}`),
    '---',
    '',
    `# LoRA for ${isHubName ? base : layout.family}`,
    '',
    isHubName
      ? `A LoRA adapter for [${base}](https://huggingface.co/${base}).`
      : `A LoRA adapter for a model of the family ${layout.family}.`,
    `It was made with ${facts.program}; \`${recordFileName}\` has all that decided its values.`,
    '',
    '## How it was made',
    '',
    '| | |',
    '| --- | --- |',
    ...methodRows(job, result).map(([name, text]) => `| ${name} | ${text} |`),
    '',
    '## Losses',
    '',
    'Mean loss on rows that were not trained on.',
    '',
    '| model | loss |',
    '| --- | ---: |',
    ...lossRows(result).map(([name, loss]) => `| ${name} | ${loss.toFixed(4)} |`),
    '',
    '## Loading it',
    '',
    ...(kind === 'pictures'
      ? diffusersLines(isHubName ? base : 'BASE')
      : peftLines(isHubName ? base : 'BASE', {
          family: layout.family,
          rank: job.options.rank,
          kind,
        })),
  ];
  return `${lines.join('\n')}\n`;
}

const pipelineTags = {
  text: 'text-generation',
  images: 'image-text-to-text',
  pictures: 'text-to-image',
} as const;

function methodRows(job: Job, result: JobResult): [string, string][] {
  const { options, report, training } = job;
  const { schedule } = training;
  const emulated = result.emulator !== null;
  const { datasetSha256 } = report;
  const count =
    report.kind === 'rows' ? `${job.trainRows.count} rows` : `${report.pictures.pictures} pictures`;
  const size = options.levels ?? options.ratios.join(', ');
  const rows: [string, string | null][] = [
    [
      'method',
      emulated
        ? 'EMLoC ([arXiv 2506.12015](https://arxiv.org/abs/2506.12015)): LoRA on an emulator, corrected for the original'
        : `${options.useDora ? 'DoRA' : 'LoRA'} on the original model`,
    ],
    [options.levels === null ? 'ratio of the emulator' : 'levels', emulated ? code(size) : null],
    [
      options.useDora ? 'DoRA' : 'LoRA',
      [
        `rank ${options.rank}`,
        `alpha ${options.alpha}`,
        ...(options.useRslora ? ['scaled by √rank'] : []),
        ...(options.loraDropout > 0 ? [`dropout ${options.loraDropout}`] : []),
      ].join(', '),
    ],
    ['steps', `${schedule.steps} of ${stepSize(options)}`],
    ['learning rate', `${schedule.learningRate}, ${schedule.kind}`],
    ['weights in training', options.storage === 'model' ? null : options.storage],
    ['correction', result.correction?.chosen ?? null],
    [
      'refinement on the original',
      result.refinement &&
        `${result.refinement.steps} steps${result.refinement.kept ? '' : ', not kept'}`,
    ],
    ['seed', String(options.seed)],
    ['data', `${count}, SHA-256 \`${datasetSha256}\``],
  ];
  return rows.flatMap(([name, text]): [string, string][] => (text === null ? [] : [[name, text]]));
}

function stepSize({ batch, batchTokens, gradientAccumulation: count }: Job['options']): string {
  if (batchTokens === null) return String(batch * count);
  return `up to ${batchTokens * count} tokens`;
}

/** A text of an option in a table: it ends neither the cell nor the code. */
function code(text: string): string {
  return `\`${text.replaceAll('`', "'").replaceAll('|', '\\|').replace(/\s+/g, ' ')}\``;
}

function lossRows({ validation, resultLoss }: JobResult): [string, number][] {
  return [
    ['base model', validation.base],
    ['with this adapter', resultLoss],
  ];
}

/** @param kind models that take images have a class of their own, and no adapters in llama.cpp */
function peftLines(
  base: string,
  { family, rank, kind }: { family: string; rank: number; kind: 'text' | 'images' },
): string[] {
  const trap = loadingTrap(family);
  const isText = kind === 'text';
  const loader = isText ? 'AutoModelForCausalLM' : 'AutoModel';
  const how = isText ? 'dtype="auto"' : 'dtype="auto", trust_remote_code=True';
  return [
    ...(trap === null ? [] : [`> ${trap}`, '']),
    'With PEFT, `ADAPTER` being this folder or its name on a hub, `BASE` that of the base model where it is not named here:',
    '',
    '```python',
    'from peft import PeftModel',
    `from transformers import ${loader}, AutoTokenizer`,
    '',
    `base = ${JSON.stringify(base)}`,
    'tokenizer = AutoTokenizer.from_pretrained(base)',
    `model = PeftModel.from_pretrained(${loader}.from_pretrained(base, ${how}), "ADAPTER")`,
    '```',
    '',
    'With vLLM:',
    '',
    '```sh',
    `vllm serve ${base} --enable-lora --max-lora-rank ${servedRank(rank)} --lora-modules tuned=ADAPTER`,
    '```',
    ...(isText && trap === null ? llamaCppLines(base) : []),
  ];
}

function llamaCppLines(base: string): string[] {
  return [
    '',
    'With llama.cpp, whose `convert_lora_to_gguf.py` reads this folder:',
    '',
    '```sh',
    `python convert_lora_to_gguf.py --base-model-id ${base} --outfile adapter.gguf ADAPTER`,
    'llama-cli -m base.gguf --lora adapter.gguf',
    '```',
  ];
}

/** The ranks that vLLM makes room for. */
function servedRank(rank: number): number {
  return [8, 16, 32, 64, 128, 256, 320, 512].find((size) => size >= rank) ?? rank;
}

function diffusersLines(base: string): string[] {
  return [
    '```python',
    'import torch',
    'from diffusers import DiffusionPipeline',
    '',
    `pipeline = DiffusionPipeline.from_pretrained(${JSON.stringify(base)}, torch_dtype=torch.bfloat16)`,
    'pipeline.load_lora_weights("ADAPTER")',
    '```',
  ];
}

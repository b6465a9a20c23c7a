import { PipelineError } from '../errors.js';
import { assertHubName } from './base-name.js';
import { assertColumns, assertDate, assertTemplateArgs, invalidOption } from './checks.js';
import { answering, job, modelled, running, tuning } from './commands.js';
import { parseDataWeights } from './data-weights.js';
import { choice, flagged, integer, text, textFile, texts } from './kinds.js';
import { mostFurtherFiles } from './limits.js';

const source =
  'a file of this machine, which is uploaded; server:PATH, a file that the server sees; or datasets/ID, uploaded before';

const mostTemplateBytes = 2 ** 20;

function assertFiles(_name: string, files: readonly string[]): void {
  if (files.length > mostFurtherFiles)
    throw new PipelineError(
      'PIPELINE_INVALID_OPTION',
      `option data: ${files.length + 1} files given, at most ${mostFurtherFiles + 1} are allowed`,
    );
  const empty = files.find((file) => file === '');
  if (empty !== undefined) throw invalidOption('data', empty, 'a path');
}

/** What is read and written, and how rows become text. */
export const inputOptions = Object.freeze({
  model: text({
    flag: '--model <dir|name>',
    help: 'checkpoint folder (Hugging Face layout), or OWNER/NAME[@REVISION] of a hub, which is downloaded',
    helpIn: {
      jobs: 'checkpoint folder as the server sees it, or OWNER/NAME[@REVISION] that the server has',
    },
    commands: [...modelled, 'merge', 'data'],
    field: 'model',
    decides: false,
  }),
  /** A PEFT adapter's folder; null: the base model. */
  adapter: text({
    default: null,
    flag: '--adapter <dir>',
    help: 'PEFT adapter (default: none, the base model)',
    helpIn: { merge: 'PEFT adapter' },
    commands: ['eval', ...answering, 'merge'],
  }),
  /** A PEFT or diffusers adapter that training begins from; null: a fresh one. */
  initAdapter: text({
    default: null,
    flag: '--init-adapter <dir>',
    help: 'PEFT or diffusers adapter that training begins from, whose rank, alpha and targets the job has (default: a fresh one)',
    helpIn: {
      jobs: 'PEFT or diffusers adapter as the server sees it, in a folder of its models, that training begins from, whose rank, alpha and targets the job has (default: a fresh one)',
    },
    commands: job,
    field: 'init_adapter',
    decides: false,
  }),
  data: text({
    flag: '--data <path>',
    help: 'training rows, JSONL, CSV or Parquet with "messages", "prompt" and "completion", "instruction" and "output", or "text" (repeatable, see --data-weights); for models that make pictures a folder of images',
    helpIn: {
      jobs: `training rows, JSONL, CSV or Parquet: ${source} (repeatable, see --data-weights); for models that make pictures server:PATH of a folder of images`,
      eval: 'rows to score, as for tune',
      data: 'rows to show, in place of FILE (repeatable)',
    },
    commands: [...running, 'data'],
    field: 'data',
    decides: false,
  }),
  /** Files of rows beside `data`, which are one data set with it: what else `--data` is given. */
  moreData: texts({
    default: Object.freeze([]),
    check: assertFiles,
    flag: '--data <path>',
    further: true,
    help: 'more training rows',
    of: 'text',
    commands: [...job, 'data'],
    field: 'more_data',
    decides: false,
  }),
  /** How often an epoch has the rows of each file, `1,0.5`; null: once. See parseDataWeights. */
  dataWeights: text({
    default: null,
    check: (name, value) => void parseDataWeights(name, value),
    of: 'text',
    flag: '--data-weights <weights>',
    help: 'how often an epoch has the rows of each --data, in their order: 1,2,0.5 (default: once)',
    commands: [...job, 'data'],
    field: 'data_weights',
  }),
  /** null: held out of `data`. */
  validation: text({
    default: null,
    flag: '--validation <path>',
    help: 'validation rows (default: 5 % of the data, 16 to 256 rows, held out by seed)',
    helpIn: { jobs: 'validation rows, as --data (default: held out of the data)' },
    commands: job,
    field: 'validation',
    decides: false,
  }),
  /** Columns of rows by the names that they are read by; null: their own. */
  columns: text({
    default: null,
    check: assertColumns,
    of: 'text',
    flag: '--columns <names>',
    help: 'read columns of the rows under other names, as in prompt=question,completion=answer',
    commands: [...running, 'data'],
    field: 'columns',
    mostServed: 4096,
  }),
  out: text({
    flag: '--out <dir>',
    help: 'folder of the adapter',
    helpIn: { plan: 'as for tune; nothing is written', merge: 'folder of the merged checkpoint' },
    commands: [...tuning, 'merge'],
    decides: false,
  }),
  /** Element type of merged weights; null: that of the checkpoint. */
  dtype: choice({
    choices: ['bfloat16', 'float16', 'float32'],
    default: null,
    flag: '--dtype <name>',
    help: "element type of the merged weights (default: the checkpoint's)",
    commands: ['merge'],
  }),
  /** What templates take for today, `YYYY-MM-DD`; null: the day of the job's creation, UTC. */
  date: text({
    default: null,
    check: assertDate,
    flag: '--date <day>',
    help: 'what templates take for today, YYYY-MM-DD (default: the day of the job, UTC)',
    commands: [...modelled, 'data'],
    field: 'date',
  }),
  /** Text of a chat template in place of the model's own. */
  chatTemplate: textFile({
    default: null,
    mostBytes: mostTemplateBytes,
    of: 'text',
    flag: '--chat-template <file>',
    help: "Jinja chat template in place of the model's",
    commands: [...modelled, 'data'],
    field: 'chat_template',
    mostServed: mostTemplateBytes,
  }),
  /** A JSON object of variables for templates; as text, in which numbers stay exact. */
  templateArgs: text({
    default: null,
    check: assertTemplateArgs,
    of: 'text',
    flag: '--template-args <json>',
    help: 'JSON object of more variables for the chat template, as in \'{"enable_thinking": false}\'',
    commands: [...modelled, 'data'],
    field: 'template_args',
    mostServed: 65_536,
  }),
  /** Of an image, the thumbnail apart; null: 6, or what an adapter was trained with. */
  maxTiles: integer({
    default: null,
    least: 1,
    of: 'text',
    flag: '--max-tiles <n>',
    help: 'tiles that an image is cut into at most (default: 6, or what the adapter was trained with)',
    commands: [...modelled, 'data'],
    field: 'max_tiles',
    mostServed: 1024,
  }),
  /** Whether images are turned as their EXIF data say; published models were trained without. */
  exifOrientation: flagged({
    default: false,
    flag: '--exif-orientation',
    help: 'turn images as their EXIF data say',
    commands: [...modelled, 'data'],
    field: 'exif_orientation',
  }),
  /** null: the folder of the file of rows. */
  imageRoot: text({
    default: null,
    of: 'text',
    flag: '--image-root <dir>',
    help: 'folder that paths of images start from and stay in (default: that of the file of rows)',
    helpIn: { generate: 'folder that images must lie in (default: they may lie anywhere)' },
    commands: [...tuning, 'eval', 'generate', 'data'],
    decides: false,
  }),
  /** Whether images are fetched by http and https. */
  remoteImages: flagged({
    default: false,
    of: 'text',
    flag: '--allow-remote-images',
    help: 'fetch images that are named by a URL',
    commands: [...tuning, 'eval', ...answering, 'data'],
    decides: false,
  }),
  /** Whether what is only warned of in rows is an error. */
  strict: flagged({
    default: false,
    of: 'text',
    flag: '--strict',
    help: 'what is only warned of in rows is an error',
    commands: [...running, 'data'],
    field: 'strict',
    decides: false,
  }),
  /** What adapter_config.json calls the base model; null: its hub name, if that is known. */
  baseName: text({
    default: null,
    check: assertHubName,
    flag: '--base-name <name>',
    help: 'name of the base model in adapter_config.json (default: its hub name, if that is known)',
    commands: job,
    field: 'base_name',
  }),
  /** Whether a checkpoint may have more layers than its configuration says. */
  allowUnusedLayers: flagged({
    default: false,
    flag: '--allow-unused-layers',
    help: 'take a checkpoint that has more layers than its config says, without those',
    helpIn: {
      merge: 'take a checkpoint that has more layers than its config says, and keep those',
    },
    commands: [...modelled, 'merge'],
    field: 'allow_unused_layers',
    decides: false,
  }),
});

import { assertResolution, assertSize } from './checks.js';
import { job, running } from './commands.js';
import { choice, flagged, integer, number, positive, text, texts } from './kinds.js';

const pictures = 'pictures';
const shown = [...running, 'data'] as const;
const finite = { expected: 'a number', holds: (value: number) => Number.isFinite(value) };
const notNegative = {
  expected: 'at least 0',
  holds: (value: number) => value >= 0 && Number.isFinite(value),
};

/** Which pictures a model learns from, at which noise, and which it makes. */
export const pictureOptions = Object.freeze({
  /** What images without a caption of their own show; null: every image has one. */
  instancePrompt: text({
    default: null,
    of: pictures,
    flag: '--instance-prompt <text>',
    help: 'what images without a caption show (default: every image has one, in IMAGE.txt or metadata.jsonl)',
    commands: shown,
    field: 'instance_prompt',
    mostServed: 4096,
  }),
  /** Pixels of the shorter side; null: 512. */
  resolution: integer({
    default: null,
    least: 16,
    check: assertResolution,
    of: pictures,
    flag: '--resolution <pixels>',
    help: 'side that images are resized to, a multiple of 16 (default: 512, or what the adapter was trained with)',
    commands: shown,
    field: 'resolution',
    mostServed: 8192,
  }),
  crop: choice({
    choices: ['centre', 'random'],
    default: 'centre',
    of: pictures,
    flag: '--crop <where>',
    help: 'where squares are cut from images: centre or random',
    commands: shown,
    field: 'crop',
  }),
  flip: flagged({
    default: false,
    of: pictures,
    flag: '--flip',
    help: 'mirror half of the images, by seed',
    commands: shown,
    field: 'flip',
  }),
  buckets: flagged({
    default: false,
    of: pictures,
    flag: '--buckets',
    help: 'keep shapes: sizes of about the area of the resolution, in place of squares',
    commands: shown,
    field: 'buckets',
  }),
  /** Folder of images of the subject's class, against forgetting it; null: none. */
  classData: text({
    default: null,
    of: pictures,
    flag: '--class-data <dir>',
    help: 'images of what the subject is one of, learnt beside it so that they are not forgotten (default: none)',
    helpIn: {
      jobs: 'images of what the subject is one of: server:PATH, a folder that the server sees',
    },
    commands: job,
    field: 'class_data',
    decides: false,
  }),
  classPrompt: text({
    default: null,
    of: pictures,
    flag: '--class-prompt <text>',
    help: 'what they show, where they have no caption',
    commands: job,
    field: 'class_prompt',
    mostServed: 4096,
  }),
  priorWeight: number({
    default: 1,
    range: notNegative,
    of: pictures,
    flag: '--prior-weight <x>',
    help: 'weight of their loss',
    commands: job,
    field: 'prior_weight',
    mostServed: Number.MAX_VALUE,
  }),
  noiseScheme: choice({
    choices: ['none', 'logit-normal', 'mode', 'sigmoid', 'shift', 'flux-shift'],
    default: 'none',
    of: pictures,
    flag: '--noise-scheme <name>',
    help: 'how noise levels are drawn: none (uniform), logit-normal, mode, sigmoid, shift or flux-shift',
    commands: job,
    field: 'noise_scheme',
  }),
  logitMean: number({
    default: 0,
    range: finite,
    of: pictures,
    flag: '--logit-mean <x>',
    help: 'mean of logit-normal',
    commands: job,
    field: 'logit_mean',
    mostServed: Number.MAX_VALUE,
  }),
  logitStd: number({
    default: 1,
    range: positive,
    of: pictures,
    flag: '--logit-std <x>',
    help: 'standard deviation of logit-normal',
    commands: job,
    field: 'logit_std',
    mostServed: Number.MAX_VALUE,
  }),
  modeScale: number({
    default: 1.29,
    range: finite,
    of: pictures,
    flag: '--mode-scale <x>',
    help: 'scale of mode',
    commands: job,
    field: 'mode_scale',
    mostServed: Number.MAX_VALUE,
  }),
  noiseShift: number({
    default: 3,
    range: positive,
    of: pictures,
    flag: '--noise-shift <x>',
    help: 'shift of the scheme shift; above 1 draws more noise',
    commands: job,
    field: 'noise_shift',
    mostServed: Number.MAX_VALUE,
  }),
  lossWeighting: choice({
    choices: ['none', 'sigma-sqrt', 'cosmap'],
    default: 'none',
    of: pictures,
    flag: '--loss-weighting <name>',
    help: 'weight of a noise level in the loss: none, sigma-sqrt or cosmap',
    commands: job,
    field: 'loss_weighting',
  }),
  /** Guidance scale that the model is told in training. */
  trainGuidance: number({
    default: 1,
    range: notNegative,
    of: pictures,
    flag: '--train-guidance <x>',
    help: 'guidance scale that a guided model is told while it learns',
    commands: job,
    field: 'train_guidance',
    mostServed: Number.MAX_VALUE,
  }),
  /** Pictures of these are made before, during and after training. */
  samplePrompts: texts({
    default: Object.freeze([]),
    of: pictures,
    flag: '--sample-prompt <text>',
    help: 'make a picture of this before, during and after training (repeatable)',
    commands: ['tune', 'plan'],
    decides: false,
  }),
  /** null: only before and after. */
  sampleEvery: integer({
    default: null,
    least: 1,
    of: pictures,
    flag: '--sample-every <n>',
    help: 'training steps between samples (default: only before and after training)',
    commands: ['tune', 'plan'],
    decides: false,
  }),
  sampleInferenceSteps: integer({
    default: 28,
    least: 1,
    of: pictures,
    flag: '--sample-inference-steps <n>',
    help: 'steps from noise to a sample',
    commands: ['tune', 'plan'],
    decides: false,
  }),
  /** `WIDTHxHEIGHT` in pixels, or a side. */
  size: text({
    default: null,
    check: assertSize,
    of: pictures,
    flag: '--size <pixels>',
    help: 'WIDTHxHEIGHT of the picture, multiples of 16 (default: 1024x1024)',
    commands: ['generate'],
  }),
  /** null: 28; 4 for models without guidance. */
  inferenceSteps: integer({
    default: null,
    least: 1,
    of: pictures,
    flag: '--steps <n>',
    help: 'steps from noise to the picture (default: 28; 4 for models without guidance)',
    commands: ['generate'],
  }),
  guidance: number({
    default: 3.5,
    range: notNegative,
    of: pictures,
    flag: '--guidance <x>',
    help: 'guidance scale that a guided model is told',
    commands: ['generate'],
  }),
  /** null: none, one evaluation a step. */
  negativePrompt: text({
    default: null,
    of: pictures,
    flag: '--negative-prompt <text>',
    help: 'what the picture does not show, by classifier-free guidance: two evaluations a step (default: none)',
    commands: ['generate'],
  }),
  /** Of classifier-free guidance. */
  cfgScale: number({
    default: 4,
    range: positive,
    of: pictures,
    flag: '--cfg-scale <x>',
    help: 'strength of the negative prompt',
    commands: ['generate'],
  }),
  /** null: `image.png`. */
  imageOut: text({
    default: null,
    of: pictures,
    flag: '--out <file>',
    help: 'PNG file of the picture (default: image.png)',
    commands: ['generate'],
  }),
  /** Draws of image, noise level and noise that a model is scored on. */
  draws: integer({
    default: 64,
    least: 1,
    of: pictures,
    flag: '--draws <n>',
    help: 'draws of image, noise level and noise to score',
    commands: ['eval'],
  }),
});

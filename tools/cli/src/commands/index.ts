import type { CommandList } from '../command/command-tree.js';
import { jobsCommands } from './jobs/index.js';

/** Every command, one file each; loaded when it is asked for. */
export const commands: CommandList = {
  data: {
    summary:
      'show rows as they would be trained on: text, what of it is learned, what is cut; or what becomes of pictures',
    load: () => import('./data.js'),
  },
  tune: {
    summary: 'fine-tune a model within a memory budget and write a PEFT adapter',
    load: () => import('./tune.js'),
  },
  plan: {
    summary: 'peak memory and time of each stage, before anything runs',
    load: () => import('./plan.js'),
  },
  eval: {
    summary:
      'loss, accuracy and exact match of a model, or its squared error on pictures, with an adapter or without',
    load: () => import('./eval.js'),
  },
  generate: {
    summary:
      'what a model answers to a prompt, or the picture that it makes of it, with an adapter or without',
    load: () => import('./generate.js'),
  },
  merge: {
    summary: 'write a checkpoint with an adapter merged into the weights',
    load: () => import('./merge.js'),
  },
  export: {
    summary: 'write an adapter in the format of another program: GGUF for llama.cpp and Ollama',
    load: () => import('./export.js'),
  },
  report: {
    summary: 'make the page of a job again: curves, memory, time, errors of the emulator',
    load: () => import('./report.js'),
  },
  fetch: {
    summary: 'download a model of a hub into the cache, for use without a network or by services',
    load: () => import('./fetch.js'),
  },
  push: {
    summary: 'send an adapter or a merged checkpoint to a hub, privately unless told otherwise',
    load: () => import('./push.js'),
  },
  info: { summary: 'what emloc finds on this machine', load: () => import('./info.js') },
  serve: {
    summary: 'coordinator, stages and NATS on this machine, until Ctrl-C',
    load: () => import('./serve.js'),
  },
  completion: {
    summary: 'completion of commands and flags for a shell: bash, zsh or fish',
    load: () => import('./completion.js'),
  },
  jobs: {
    summary: 'jobs on a remote deployment',
    commands: jobsCommands,
    example:
      'jobs create --server 127.0.0.1:7070 --model /models/base --data train.jsonl --watch --download ./my-adapter',
  },
};
